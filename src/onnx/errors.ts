/** What can be wrong with a model, with what it is to be changed into, or with the samples that help. */
export type OnnxErrorCode =
  /** The bytes are not a model, or end early. */
  | 'malformed'
  /** Larger than protobuf, an engine or this program takes. */
  | 'too_large'
  /** A value, node, initializer or subgraph that does not add up. */
  | 'invalid_graph'
  /** A value that nothing gives. */
  | 'missing_value'
  /** Nodes that wait for each other. */
  | 'cycle'
  /** An operator, operator set or tensor type that is not known here, or not in that version. */
  | 'unsupported'
  /** External data that is missing, too short, or outside the model's folder. */
  | 'external_data'
  /** Weights that are not numbers, or cannot be represented. */
  | 'bad_weights'
  /** Nothing left to do: it was quantized before. */
  | 'already_quantized'
  /** Samples that do not fit the model's inputs. */
  | 'bad_samples'
  /** Options that contradict each other or the model. */
  | 'bad_options'
  /** The result differs too much from the original. */
  | 'disagrees'

export interface OnnxErrorOptions {
  /** Name of the node, value or initializer that is at fault. */
  readonly node?: string
  readonly cause?: unknown
}

/** A typed failure of the toolkit. The message names what is at fault and says what to do. */
export class OnnxError extends Error {
  override readonly name = 'OnnxError'
  readonly code: OnnxErrorCode
  readonly node: string | undefined

  constructor(code: OnnxErrorCode, message: string, { node, cause }: OnnxErrorOptions = {}) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.node = node
  }
}

export function isOnnxError(error: unknown, code?: OnnxErrorCode): error is OnnxError {
  return error instanceof OnnxError && (code === undefined || error.code === code)
}

/** What moves a terminal's cursor or turns the direction of writing, and that JSON does not escape. */
const UNSAFE = /[\p{Cc}\p{Cf}\u2028\u2029]/gu

/** A name of the model author's as it can be printed: control characters escaped, at most 120 characters. */
export function safeName(name: string): string {
  const text = JSON.stringify(name.length > 120 ? `${name.slice(0, 117)}...` : name)
  return text.slice(1, -1).replace(UNSAFE, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`)
}

/** What to call a node in a message: its name and operator, or what it gives where it has no name. */
export function nodeLabel({
  name,
  opType,
  output,
}: {
  readonly name: string
  readonly opType: string
  readonly output: readonly string[]
}): string {
  if (name !== '') return `Node "${safeName(name)}" (${safeName(opType)})`
  return `The ${safeName(opType)} node that produces "${safeName(output.find((value) => value !== '') ?? '')}"`
}
