import { errorAsText } from '../error-shape.ts'

/** The Open Inference Protocol says that `error` is a text. */
export const oipErrors = errorAsText

/** The fields of a failure: the protocol's own `error`, and Verge's `code`. Each is undefined if it is not a text. */
export interface ReadError {
  readonly error: string | undefined
  readonly code: string | undefined
}

/** Reads the JSON of a failure. Any text is taken: servers, and what stands before them, answer other things too. */
export function readError(json: string): ReadError {
  let fields: { readonly code?: unknown; readonly error?: unknown } = {}
  try {
    fields = (JSON.parse(json) ?? {}) as typeof fields
  } catch {
    // Not the protocol's: a proxy's page, or nothing.
  }
  const { code, error } = fields
  return {
    error: typeof error === 'string' ? error : undefined,
    code: typeof code === 'string' ? code : undefined,
  }
}
