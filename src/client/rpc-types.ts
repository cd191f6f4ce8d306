/**
 * What another Worker needs to call Verge through a service binding: types alone, without anything at run time. Copy this
 * file, or import it, and declare the binding as `VERGE: Service<VergeBinding>` or `VERGE: VergeBinding`.
 */

export type VergeDatatype =
  | 'BOOL'
  | 'UINT8'
  | 'UINT16'
  | 'UINT32'
  | 'UINT64'
  | 'INT8'
  | 'INT16'
  | 'INT32'
  | 'INT64'
  | 'FP16'
  | 'FP32'
  | 'FP64'
  | 'BYTES'

/**
 * A tensor, in row-major order. The typed array is the datatype's own (FP32: Float32Array, INT64: BigInt64Array, BOOL:
 * Uint8Array of 0 and 1, FP16: Uint16Array of the halves' bits); BYTES are strings. An input may have an array of plain
 * numbers instead, flat or nested.
 */
export interface VergeTensor {
  readonly datatype: VergeDatatype
  readonly shape: readonly number[]
  readonly data: ArrayBufferView | readonly unknown[]
}

export type VergeJson =
  | string
  | number
  | boolean
  | null
  | readonly VergeJson[]
  | { readonly [name: string]: VergeJson | undefined }

/**
 * For a task: a picture, a sound or a file as bytes, or as what still has to be read of them; or what stands in `inputs` of `POST /run/{model}`: a text, texts,
 * rows. For a model without a task, or to go past it: tensors by name.
 */
export type VergeInputs =
  | ArrayBuffer
  | Uint8Array
  | ReadableStream
  | Blob
  | Response
  | Request
  | VergeJson
  | { readonly tensors: { readonly [name: string]: VergeTensor } }

export interface VergeCallOptions {
  /** The operator's key, for private models where the binding itself is not trusted. */
  readonly token?: string | undefined
  /** A version other than the live one. */
  readonly version?: string | undefined
  /**
   * While several versions are live, calls with the same text are answered by the same one: a user of the calling Worker's, for
   * example. 1 to 128 visible characters of ASCII. Without it each call is given a version by itself, unless `token` says who calls.
   */
  readonly sticky?: string | undefined
  /** Shortens the wait. */
  readonly timeoutMs?: number | undefined
  /** Letters, digits, ".", "_" and "-", at most 128: stands in the logs. */
  readonly requestId?: string | undefined
  /** Ends the call. The calling Worker needs the compatibility flag `enable_abortsignal_rpc`. */
  readonly signal?: AbortSignal | undefined
}

export interface VergeRunOptions extends VergeCallOptions {
  /** As in the body of `POST /run/{model}`. */
  readonly parameters?: { readonly [name: string]: VergeJson | undefined } | undefined
  /**
   * Media type of inputs in bytes, such as `image/png`; by default what a `Blob` or a `Response` says, else what the task
   * takes.
   */
  readonly contentType?: string | undefined
  /** Outputs wanted, where the inputs are tensors; all if left out. */
  readonly outputs?: readonly string[] | undefined
  /** `no-cache`: a fresh answer; `no-store`: one that leaves no trace. */
  readonly cache?: 'no-cache' | 'no-store' | undefined
}

/** The body of `POST /v1/chat/completions` without its model: OpenAI's fields, such as `max_tokens` and `temperature`. */
export interface VergeChatRequest {
  readonly messages: readonly { readonly role: string; readonly content: VergeJson; readonly name?: string }[]
  readonly stream?: boolean
  readonly [field: string]: unknown
}

/** The body of `POST /v1/completions` without its model. */
export interface VergeTextRequest {
  readonly prompt: string | readonly string[] | readonly number[] | readonly (readonly number[])[]
  readonly stream?: boolean
  readonly [field: string]: unknown
}

interface VergeUsage {
  readonly prompt_tokens: number
  readonly completion_tokens: number
  readonly total_tokens: number
}

/** Answer of `chat`, as OpenAI has it. */
export interface VergeChat {
  readonly id: string
  readonly created: number
  readonly model: string
  readonly choices: readonly {
    readonly index: number
    readonly message: { readonly role: 'assistant'; readonly content: string }
    readonly finish_reason: 'stop' | 'length'
  }[]
  readonly usage: VergeUsage
}

/** Answer of `complete`, as OpenAI has it. */
export interface VergeText {
  readonly id: string
  readonly created: number
  readonly model: string
  readonly choices: readonly {
    readonly index: number
    readonly text: string
    readonly finish_reason: 'stop' | 'length'
  }[]
  readonly usage: VergeUsage
}

/** Server-sent events as OpenAI has them, in bytes: `data: {...}` for each part, and at last `data: [DONE]`. */
export type VergeEvents = ReadableStream<Uint8Array>

/** Answer to inputs that are tensors. */
export interface VergeTensors {
  readonly model: string
  readonly version: string
  readonly outputs: { readonly [name: string]: VergeTensor }
}

/** Answer of a task that makes a picture. */
export interface VergeFile {
  readonly mediaType: string
  readonly bytes: Uint8Array
}

/** Labels with scores, best first: answer of a classification. */
export type VergeClassification = readonly { readonly label: string; readonly score: number }[]

/** A failure. `code` is one of the small vocabulary of the HTTP API, `status` what HTTP would have answered. */
export interface VergeFailure {
  readonly code: string
  readonly message: string
  readonly status: number
  readonly requestId: string
  /** Seconds after which the same call may succeed. */
  readonly retryAfter?: number
  readonly details?: { readonly [name: string]: string | number | boolean | readonly (string | number)[] }
}

/**
 * What `run` throws. The fields beside `name` and `message` reach callers whose compatibility date is 2026-04-21 or later
 * (or who set `enhanced_error_serialization`); others use `tryRun`.
 */
export interface VergeRpcError extends Error, Omit<VergeFailure, 'message'> {
  readonly name: 'VergeError'
}

export type VergeOutcome<Answer> =
  | {
      readonly ok: true
      readonly answer: Answer
      readonly requestId: string
      /** The version that answered, as `name@version`. */
      readonly model: string | null
      /** Whether the result cache answered; null where no model was run. */
      readonly cache: 'hit' | 'miss' | 'bypass' | null
      /** What the runs cost, in units. */
      readonly cost: number
    }
  | { readonly ok: false; readonly error: VergeFailure }

/** An answer, or a failure as a value. */
export type VergeReply<Answer> =
  | { readonly ok: true; readonly answer: Answer; readonly requestId: string }
  | { readonly ok: false; readonly error: VergeFailure }

/** The binding. */
export interface VergeBinding {
  /**
   * Runs a model, and answers what `POST /run/{model}` answers; tensors with tensors, a picture with its bytes.
   * @throws VergeRpcError
   */
  run<Answer = unknown>(model: string, inputs: VergeInputs, options?: VergeRunOptions): Promise<Answer>
  /** The same, with what is known of the run, and a failure as a value. */
  tryRun<Answer = unknown>(model: string, inputs: VergeInputs, options?: VergeRunOptions): Promise<VergeOutcome<Answer>>

  /**
   * Answers messages, as `POST /v1/chat/completions` does; with `stream: true` with a stream of events.
   * @throws VergeRpcError
   */
  chat(
    model: string,
    request: VergeChatRequest & { readonly stream: true },
    options?: VergeCallOptions,
  ): Promise<VergeEvents>
  chat(model: string, request: VergeChatRequest, options?: VergeCallOptions): Promise<VergeChat>
  /** The same, with a failure as a value. */
  tryChat<Answer = VergeChat>(
    model: string,
    request: VergeChatRequest,
    options?: VergeCallOptions,
  ): Promise<VergeReply<Answer>>
  /**
   * Continues texts, as `POST /v1/completions` does; with `stream: true` with a stream of events.
   * @throws VergeRpcError
   */
  complete(
    model: string,
    request: VergeTextRequest & { readonly stream: true },
    options?: VergeCallOptions,
  ): Promise<VergeEvents>
  complete(model: string, request: VergeTextRequest, options?: VergeCallOptions): Promise<VergeText>
  /** The same, with a failure as a value. */
  tryComplete<Answer = VergeText>(
    model: string,
    request: VergeTextRequest,
    options?: VergeCallOptions,
  ): Promise<VergeReply<Answer>>
}
