import { isVergeError, VergeError } from '../core/errors.ts'
import { isObject } from '../core/objects.ts'
import { STATUS } from '../protocols/status.ts'
import { type WorkersAiErrorBody, workersAiErrors } from '../protocols/workers-ai/error.ts'

/** A failure as Workers AI tells its binding. */
export interface RawFailure {
  readonly internalCode: number
  readonly name: 'AiError'
  /** With the number, as errors print it. */
  readonly message: string
  readonly description: string
  /** Verge's own code. */
  readonly code: string
  readonly requestId: string
}

/** What `env.AI.run` throws: its message begins with Workers AI's number, such as `5007: ...`. */
export class AiError extends Error {
  override readonly name = 'AiError'
  readonly internalCode: number
  readonly code: string
  readonly requestId: string

  constructor({ code, internalCode, message, requestId }: RawFailure) {
    super(message)
    this.internalCode = internalCode
    this.code = code
    this.requestId = requestId
    this.stack = `${this.name}: ${message}`
  }
}

/** The failure that the REST paths answered. */
export async function failedRun(response: Response): Promise<RawFailure> {
  const body: unknown = await response.json().catch(() => undefined)
  const [error] = isObject(body) && Array.isArray(body.errors) ? (body.errors as unknown[]) : []
  const { code, message } = isObject(error) ? error : {}
  const description = typeof message === 'string' ? message : `The request was refused with status ${response.status}.`
  const internalCode = typeof code === 'number' ? code : response.status
  return {
    internalCode,
    name: 'AiError',
    message: `${internalCode}: ${description}`,
    description,
    code: isObject(body) && typeof body.code === 'string' ? body.code : 'internal',
    requestId: response.headers.get('x-request-id') ?? '',
  }
}

/** A failure before there was a request. */
export function rawFailure(thrown: unknown, requestId: string): RawFailure {
  const error = isVergeError(thrown)
    ? thrown
    : new VergeError('internal', 'Internal error. Try again. If the error persists, report the request id.')
  const status = workersAiErrors.status?.(error) ?? STATUS[error.code]
  const { errors } = workersAiErrors.body(error, requestId, status) as WorkersAiErrorBody
  const internalCode = errors[0]?.code ?? status
  const { code, message: description } = error
  return { internalCode, name: 'AiError', message: `${internalCode}: ${description}`, description, code, requestId }
}
