import type { ErrorCode } from '../core/errors.ts'
import type { RequestContext } from '../core/runtime.ts'
import type { Signature, Tensors } from '../core/tensors.ts'

/** Measured cost of a run: `base`, and `perElement` for each element of its inputs, in the units of a manifest. */
export interface RunCost {
  readonly base: number
  readonly perElement: number
}

/** Bytes that a run takes and gives back: `base`, and `perElement` for each element of its inputs. */
export interface RunMemory {
  readonly base: number
  readonly perElement: number
}

/** A loop whose length depends on the inputs: see `src/onnx/bound-loops.ts`. */
export interface LoopCost {
  /** The input that is its number of steps; absent where it is not known before a run. */
  readonly input?: string | undefined
  /** Most steps of a run. */
  readonly steps: number
  /** Of a step, in the units of a manifest: for any step, and for each element of the model's inputs. */
  readonly cost: number
  readonly perElement: number
}

/** One form of a model's network, as an engine sees it. */
export interface ArtifactInfo {
  /** SHA-256 of the whole artifact, lower-case hexadecimal: its identity. */
  readonly sha256: string
  readonly format: 'onnx' | 'ort' | 'verge'
  /** What the artifact was made by and for: `onnxruntime 1.30.0`, `verge 1.2.0`. */
  readonly runtime?: string | undefined
  /** Bytes of the artifact as stored. */
  readonly bytes: number
  /** Measured bytes that a loaded session holds; estimated from `bytes` where it was not measured. */
  readonly memoryBytes?: number | undefined
  /** Measured memory of a run beside the session's; estimated where it was not measured. */
  readonly activations?: RunMemory | undefined
  /** Loops that take a run's time beside `cost`. */
  readonly loops?: readonly LoopCost[] | undefined
  /** Measured cost of a run; estimated from `bytes` where it was not measured. */
  readonly cost?: RunCost | undefined
  /**
   * False where a request's answer would depend on the others in its batch: dynamic quantization takes one scale for all
   * of them. Otherwise an engine that merges runs finds out by itself.
   */
  readonly batchable?: boolean | undefined
}

/** A page of a table, in the artifact's pages file. */
export interface PageInfo {
  readonly offset: number
  readonly bytes: number
  /** Lower-case hexadecimal. */
  readonly sha256: string
}

/** The pages of an artifact's tables, which stay in the stores: a run reads those that its ids need. */
export interface PageSource {
  /** Of the whole pages file. */
  readonly bytes: number
  /**
   * Reads pages, in parallel, and hands each to `use` once it is verified, in any order. `use` must have used the bytes
   * when it returns.
   * @param use gets the page's place in `pages`
   * @throws weights_unavailable, weights_corrupt, the signal's reason
   */
  read(pages: readonly PageInfo[], use: (index: number, bytes: Uint8Array) => void, signal: AbortSignal): Promise<void>
}

/** Where an artifact's bytes come from. */
export interface ByteSource {
  readonly bytes: number
  /** Pages of the tables that stay in the stores, where the artifact has some. */
  readonly pages?: PageSource
  /**
   * A file that holds just these bytes, complete and verified, where there is one: for engines that read weights
   * themselves, in another process. It stays until the session is disposed.
   */
  readonly file?: string
  /**
   * Delivers every byte once or more, in any order, at its offset; a range that proved corrupt is delivered again.
   * Resolves only when all bytes have been delivered and verified. `write` must have used the data when it returns.
   */
  deliver(write: (offset: number, data: Uint8Array) => void, signal?: AbortSignal): Promise<void>
}

export type Support = { readonly ok: true } | { readonly ok: false; readonly code: ErrorCode; readonly reason: string }

export interface EngineHealth {
  readonly ok: boolean
  readonly engine: string
  /** Version of the runtime underneath. */
  readonly version: string
  readonly detail?: string
  /** Bytes of memory that the engine holds, and the most it may hold. */
  readonly heapBytes?: number
  readonly heapLimitBytes?: number
  /** How often an instance had to be replaced after an abort or a killed run. */
  readonly recoveries?: number
  /** What computes, where an engine has a choice: `cuda`, `webgpu`, `cpu`. */
  readonly provider?: string
}

/** Runs models. Every implementation passes `test/contract/engine.ts`. */
export interface Engine {
  readonly name: string
  /** Whether this engine can run the artifact, with a typed reason where it cannot. */
  supports(artifact: ArtifactInfo): Support
  /**
   * Loads an artifact into a session. Streams: no second copy of the weights is made outside the engine's memory. A
   * failed load leaves nothing behind. Loading an artifact whose earlier load never finished discards that one.
   * @throws model_invalid, model_too_large, engine_full if other sessions use the memory, cancelled, and errors of the
   * source
   */
  load(artifact: ArtifactInfo, source: ByteSource, context: LoadContext): Promise<Session>
  health(): Promise<EngineHealth>
}

export type LoadContext = Pick<RequestContext, 'signal'>

/** Several requests' runs that are made as one. */
export interface SharedTurn {
  readonly rows: number
  readonly runs: number
}

export interface RunOptions {
  /** Outputs wanted, by name; all of them if left out. */
  readonly outputs?: readonly string[]
  readonly signal: AbortSignal
  /** The request's `RequestContext.runsBefore`; a run is preceded by a yield to the event loop where it is not known. */
  readonly runsBefore?: number
  /** Called when the wait is over and the run begins; with what it is part of where it was merged with others. */
  readonly onTurn?: (shared?: SharedTurn) => void
}

/** How tokens are chosen, one by one. */
export interface GenerateOptions {
  /** Tokens that end the text; they are not yielded. */
  readonly stopTokens: ReadonlySet<number>
  /** Most tokens to yield. */
  readonly maxNewTokens: number
  /** Most tokens of the prompt that one run reads, where the model keeps a cache. */
  readonly prefillTokens: number
  /** Chooses the next token from the logits of the last position; may keep state, and may change the array. */
  readonly choose: (logits: Float32Array) => number
  readonly signal: AbortSignal
  readonly runsBefore?: number
  /** Called when the first run begins. */
  readonly onTurn?: () => void
}

/** A loaded model. */
export interface Session {
  readonly signature: Signature
  /** Bytes held until `dispose`. */
  readonly bytes: number
  /** False once disposed, or lost with the engine instance that held it. */
  readonly alive: boolean
  /**
   * Runs the model once. Waits for its turn; the signal is honoured while waiting, not during the run itself.
   * @throws unknown_input, missing_input, unknown_output, invalid_tensor, unsupported_output, run_rejected,
   * session_lost (load it again), overloaded, weights_unavailable, weights_corrupt where rows of a table are in pages,
   * engine_aborted, engine_full where others hold the memory, run_too_large where the
   * inputs need more than there is for one model, cost_too_high where a loop reaches its bound, cancelled,
   * deadline_exceeded
   */
  run(inputs: Tensors, options: RunOptions): Promise<Tensors>
  /**
   * Continues a prompt with a causal language model whose inputs and outputs are named as Hugging Face exports name
   * them (`input_ids`, `attention_mask`, `position_ids`, `past_key_values.N.key`; `logits`, `present.N.key`). Other
   * requests' runs may come between two tokens. Ending the iteration ends the work. Absent if the engine does not
   * support it.
   * @param prompt token ids, at least one
   * @throws engine_unsupported if the model is not of this kind, and errors of `run`
   */
  generate?(prompt: readonly number[], options: GenerateOptions): AsyncIterable<number>
  /** `generate` keeps nothing in the engine: each of its runs may be made on another session of the same artifact. */
  readonly generatesByRuns?: boolean
  dispose(): void
}
