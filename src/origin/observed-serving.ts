import { AsyncLocalStorage } from 'node:async_hooks'
import type { Alias } from '../catalog/alias.ts'
import type { CallContext } from '../core/runtime.ts'
import type { Tensors } from '../core/tensors.ts'
import type { EngineHealth } from '../engine/engine.ts'
import type { InputShapes } from '../serving/pricing.ts'
import type { Generation, GenerationOptions, ResolvedModel, RunResult, Serving } from '../serving/serving.ts'

/** What is learnt of a request while it is worked on. */
export interface RequestNotes {
  /** A name of the catalogue. */
  model?: string
}

export const requestNotes = new AsyncLocalStorage<RequestNotes>()

export interface ObservedServingOptions {
  /** Called for each token of a text. */
  readonly onToken: (model: string) => void
  /** Whether requests are to be sent here: the engine alone does not know. */
  readonly ready: () => boolean
}

/** Notes what requests ask of another serving: for metrics, which want the names of models and not of digests. */
export class ObservedServing implements Serving {
  readonly place = 'origin'
  readonly #inner: Serving
  readonly #options: ObservedServingOptions
  /** Bounded by the versions that have been asked for and exist. */
  readonly #models = new Map<string, string>()

  constructor(inner: Serving, options: ObservedServingOptions) {
    this.#inner = inner
    this.#options = options
  }

  /** The model that an artifact belongs to. */
  modelOf(sha256: string): string {
    return this.#models.get(sha256) ?? 'unknown'
  }

  alias(model: string, context: CallContext): Promise<Alias | null> {
    return this.#inner.alias(model, context)
  }

  list(context: CallContext): Promise<readonly Alias[]> {
    return this.#inner.list(context)
  }

  async resolve(alias: Alias, version: string | undefined, context: CallContext): Promise<ResolvedModel> {
    const resolved = await this.#inner.resolve(alias, version, context)
    const { model, artifacts } = resolved.manifest
    for (const { sha256 } of artifacts) this.#models.set(sha256, model)
    const notes = requestNotes.getStore()
    if (notes !== undefined) notes.model = model
    return resolved
  }

  afford(model: ResolvedModel, runs: readonly InputShapes[], context: CallContext): void {
    this.#inner.afford(model, runs, context)
  }

  run(
    model: ResolvedModel,
    inputs: Tensors,
    outputs: readonly string[] | undefined,
    context: CallContext,
  ): Promise<RunResult> {
    return this.#inner.run(model, inputs, outputs, context)
  }

  async generate(
    model: ResolvedModel,
    prompt: readonly number[],
    options: GenerationOptions,
    context: CallContext,
  ): Promise<Generation> {
    const generation = await this.#inner.generate(model, prompt, options, context)
    return { ...generation, tokens: counted(generation.tokens, () => this.#options.onToken(model.manifest.model)) }
  }

  file<T>(model: ResolvedModel, name: string, parse: (bytes: Uint8Array) => T, context: CallContext): Promise<T> {
    return this.#inner.file(model, name, parse, context)
  }

  ready(model: ResolvedModel): Promise<boolean> {
    return this.#options.ready() ? this.#inner.ready(model) : Promise.resolve(false)
  }

  async health(): Promise<EngineHealth> {
    const health = await this.#inner.health()
    return this.#options.ready() ? health : { ...health, ok: false }
  }
}

function counted(tokens: AsyncIterableIterator<number>, count: () => void): AsyncIterableIterator<number> {
  return {
    [Symbol.asyncIterator]() {
      return this
    },
    async next() {
      const step = await tokens.next()
      if (!step.done) count()
      return step
    },
    async return(value?: unknown) {
      return (await tokens.return?.(value)) ?? { done: true, value: undefined }
    },
  }
}
