/**
 * What goes over the wire, as callers see it: types alone, without a package behind them, so that they can be published
 * beside the client. A test compares each with the schema that the server validates with.
 */

/** The server's vocabulary of failures. */
export type VergeErrorCode =
  | 'invalid_json'
  | 'invalid_request'
  | 'invalid_tensor'
  | 'unsupported_datatype'
  | 'unknown_input'
  | 'missing_input'
  | 'unknown_output'
  | 'unsupported_output'
  | 'empty_input'
  | 'invalid_image'
  | 'invalid_audio'
  | 'task_mismatch'
  | 'unsupported_media_type'
  | 'unsupported_encoding'
  | 'upgrade_required'
  | 'body_too_large'
  | 'body_too_slow'
  | 'input_too_large'
  | 'cost_too_high'
  | 'run_too_large'
  | 'integer_too_large'
  | 'context_length_exceeded'
  | 'run_rejected'
  | 'unauthorized'
  | 'forbidden'
  | 'not_downloadable'
  | 'not_found'
  | 'method_not_allowed'
  | 'model_not_found'
  | 'version_not_found'
  | 'overloaded'
  | 'rate_limited'
  | 'budget_spent'
  | 'limits_unavailable'
  | 'cancelled'
  | 'deadline_exceeded'
  | 'weights_unavailable'
  | 'weights_corrupt'
  | 'manifest_invalid'
  | 'alias_invalid'
  | 'signature_invalid'
  | 'release_outdated'
  | 'conflict'
  | 'store_unavailable'
  | 'model_invalid'
  | 'model_too_large'
  | 'engine_full'
  | 'engine_unsupported'
  | 'streams_unavailable'
  | 'tokens_unavailable'
  | 'not_implemented'
  | 'origin_unavailable'
  | 'origin_failed'
  | 'placement_impossible'
  | 'engine_aborted'
  | 'session_lost'
  | 'internal'

/** Facts about a failure: limits, the name of a field, a position. */
export type VergeErrorDetails = Readonly<
  Record<string, string | number | boolean | null | readonly (string | number)[]>
>

/** A label and its score. */
export interface Label {
  readonly label: string
  readonly score: number
}

/** An object in a picture, with its box in pixels. */
export interface DetectedObject extends Label {
  readonly box: { readonly xmin: number; readonly ymin: number; readonly xmax: number; readonly ymax: number }
}

/** Where somebody speaks in a sound, in seconds. */
export interface DetectedSpeech {
  readonly segments: readonly { readonly start: number; readonly end: number; readonly score: number }[]
  /** Seconds from one probability to the next. */
  readonly window?: number | undefined
  readonly probabilities?: readonly number[] | undefined
}

/** A document in the order of its relevance. */
export interface RankedDocument {
  /** Position in the documents of the request. */
  readonly index: number
  readonly relevance_score: number
  readonly document?: { readonly text: string } | undefined
}

/** A model that the caller may see. */
export interface ListedModel {
  readonly id: string
  readonly object: 'model'
  /** When the newest live version was pushed, in seconds since 1970; 0 if that was not recorded. */
  readonly created: number
  readonly owned_by: string
}

/** A message of a chat. */
export interface ChatMessage {
  readonly role: 'system' | 'developer' | 'user' | 'assistant' | 'tool'
  readonly content?: string | null
  readonly name?: string | null
}

/** How a text is generated: fields of `POST /v1/chat/completions` and `POST /v1/completions`. */
export interface GenerationParameters {
  readonly max_tokens?: number | null
  /** 0: always the most likely token. Default: 1. */
  readonly temperature?: number | null
  readonly top_p?: number | null
  readonly top_k?: number | null
  readonly min_p?: number | null
  readonly frequency_penalty?: number | null
  readonly presence_penalty?: number | null
  readonly repetition_penalty?: number | null
  /** Strings that end the answer; the answer does not include them. */
  readonly stop?: string | string[] | null
  /** The same seed gives the same answer. */
  readonly seed?: number | null
}

export interface EmbeddingParameters {
  /** Length of the vectors; default: the model's own. */
  readonly dimensions?: number
  /** Name of the prompt of the model to prepend to each text. */
  readonly prompt_name?: string
  /** Text to prepend to each text, instead of a prompt of the model. */
  readonly prompt?: string
  /** Reads all texts as one, and pools each over its own tokens. */
  readonly late_chunking?: boolean
}

export interface RerankParameters {
  /** Maximum number of documents in the answer, best first. */
  readonly top_n?: number
  readonly return_documents?: boolean
}

/** Why a text ended: by itself or a stop string, or at its maximum length. */
export type FinishReason = 'stop' | 'length'

export interface Usage {
  readonly prompt_tokens: number
  readonly completion_tokens: number
  readonly total_tokens: number
}

/**
 * Elements of tensors in row-major order, by datatype. BOOL: bytes of 0 and 1; FP16: the halves' bits; BYTES: strings.
 */
export interface TensorData {
  readonly BOOL: Uint8Array
  readonly UINT8: Uint8Array
  readonly UINT16: Uint16Array
  readonly UINT32: Uint32Array
  readonly UINT64: BigUint64Array
  readonly INT8: Int8Array
  readonly INT16: Int16Array
  readonly INT32: Int32Array
  readonly INT64: BigInt64Array
  readonly FP16: Uint16Array
  readonly FP32: Float32Array
  readonly FP64: Float64Array
  readonly BYTES: readonly string[]
}

export type Datatype = keyof TensorData

export type Tensor = {
  [Type in Datatype]: {
    readonly datatype: Type
    /** Dimensions, outermost first; empty for a scalar. */
    readonly shape: readonly number[]
    readonly data: TensorData[Type]
  }
}[Datatype]

/** A `Float16Array`, which not every runtime has. */
interface HalfArray {
  readonly [Symbol.toStringTag]: 'Float16Array'
  readonly buffer: ArrayBufferLike
  readonly byteOffset: number
  readonly byteLength: number
}

/**
 * A tensor to send. Without a datatype the type of the array gives it; bytes that are BOOL, and a `Uint16Array` of the bits
 * of FP16, have to say so.
 */
export interface TensorInput {
  readonly datatype?: Datatype | undefined
  readonly shape: readonly number[]
  readonly data: TensorData[Datatype] | HalfArray
}
