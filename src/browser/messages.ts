/**
 * What a page and its web worker say to each other. Every call has an id, one answer, and may be cancelled until then. Bytes are
 * transferred, not copied. The page trusts the worker, which is of the same release; what the server sent is checked in there.
 */

/** Rises when a page of an older release could not understand the worker any more, or the other way round. */
export const PROTOCOL = 1

/** What the worker is told first. */
export interface StartOptions {
  /** Of the page. */
  readonly protocol: number
  /** Address of Verge's Worker, without a slash at its end. */
  readonly base: string
  /** A credential that stays the same. */
  readonly key?: string | undefined
  /** Credentials end: the worker asks for one before each request that needs it. */
  readonly asksForCredentials?: boolean | undefined
  readonly quotaBytes?: number | undefined
  /** What computes: the processor if left out. */
  readonly backend?: 'wasm' | 'webgpu' | undefined
  /** A lock that the worker holds as long as it lives, where the browser has locks. */
  readonly lifeLock?: string | undefined
}

/** A request as `fetch` would send it, to the route of a model that the worker knows. */
export interface LocalRequest {
  /** SHA-256 of the version's manifest. */
  readonly digest: string
  readonly route: 'run' | 'embed' | 'infer'
  /** Empty where nothing says what the body is. */
  readonly contentType: string
  /** Without the question mark. */
  readonly query: string
  readonly body: string | Uint8Array<ArrayBuffer>
  /** Bytes of JSON before binary tensors. */
  readonly jsonLength?: number | undefined
}

/** What the Worker's route would answer. */
export interface LocalAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Uint8Array<ArrayBuffer>
}

/** What is stored in this browser, by version of a model. */
export interface StoredModels {
  /** `opfs`: the file system of the page's origin; `cache`: the Cache API; `memory`: nothing outlives the page. */
  readonly kind: 'opfs' | 'cache' | 'memory'
  readonly usedBytes: number
  readonly quotaBytes: number
  readonly models: readonly {
    readonly model: string
    readonly version: string
    readonly bytes: number
    /** Milliseconds since 1970. */
    readonly usedAt: number
  }[]
}

/** Calls of the page, by name. */
export interface Calls {
  start: { readonly takes: StartOptions; readonly gives: null }
  /** Announces a version: the answer of `GET /browser/{model}`, unread. */
  know: { readonly takes: { readonly plan: unknown; readonly pinned: boolean }; readonly gives: { digest: string } }
  /** Bytes that running a version would download, as far as is known without reading what is stored. */
  missing: { readonly takes: { readonly digest: string }; readonly gives: { missingBytes: number } }
  /** Downloads a version and loads it. */
  load: { readonly takes: { readonly digest: string }; readonly gives: null }
  ask: { readonly takes: LocalRequest; readonly gives: LocalAnswer }
  /** Answers the event of the same name. */
  credential: {
    readonly takes: {
      readonly wanted: number
      readonly credential?: string | undefined
      readonly failure?: string | undefined
    }
    readonly gives: null
  }
  storage: { readonly takes: null; readonly gives: StoredModels }
  clear: { readonly takes: { readonly model?: string | undefined }; readonly gives: null }
}

export type CallName = keyof Calls

/** A failure of a call, in the words of the server's errors. */
export interface CallFailure {
  readonly status: number
  readonly code: string
  readonly message: string
  readonly details?: Readonly<Record<string, unknown>> | undefined
  /** Seconds. */
  readonly retryAfter?: number | undefined
}

export type ToWorker =
  | { [Name in CallName]: { readonly id: number; readonly call: Name; readonly takes: Calls[Name]['takes'] } }[CallName]
  | { readonly id: number; readonly call: 'cancel' }

/** How far a download is. */
export interface LoadProgress {
  readonly digest: string
  readonly loadedBytes: number
  readonly totalBytes: number
  /** Of all models together, since the worker began. */
  readonly networkBytes: number
}

/** What the worker says unasked. */
export type WorkerEvent =
  | ({ readonly event: 'progress' } & LoadProgress)
  /** A model stays in memory alone, and is downloaded again on the next visit. */
  | { readonly event: 'not-kept'; readonly model: string; readonly reason: string }
  /** Stored weights were damaged: they are downloaded again. */
  | { readonly event: 'damaged'; readonly model: string }
  /** A request needs a credential: the current one, or another than one that the server refused. */
  | { readonly event: 'credential'; readonly wanted: number; readonly refused?: string | undefined }

export type FromWorker =
  | { readonly id: number; readonly gives: Calls[CallName]['gives'] }
  | { readonly id: number; readonly failure: CallFailure }
  | WorkerEvent
