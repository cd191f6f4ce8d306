import type { Manifest } from '../catalog/manifest.ts'
import { VergeError } from '../core/errors.ts'
import { elementsOf, type InputShapes, runFootprint } from '../engine/costs.ts'
import type { ArtifactInfo, GenerateOptions, Session } from '../engine/engine.ts'
import { generateTokens } from '../engine/generate.ts'
import type { SessionUse } from '../sessions/use.ts'

/** A text to be written. */
export interface GenerationJob {
  readonly prompt: readonly number[]
  readonly options: GenerateOptions
  /** Its name, for messages. */
  readonly model: string
  readonly artifact: ArtifactInfo
  /** Of all its runs. */
  readonly cost: number
  /** Told of the cost's parts as the runs are made, and of the rest at the end. */
  readonly onSpent: (cost: number) => void
}

/**
 * Tokens of a session that stays in use while they are read. A reader that finishes, stops early or never begins
 * releases it by `return`, as `for await` does; the lease of a killed reader expires.
 */
export class Generating implements AsyncIterableIterator<number> {
  readonly #wanted: GenerationJob
  readonly #begun = Promise.withResolvers<SessionUse>()
  readonly #ended = Promise.withResolvers<void>()
  #tokens: AsyncIterator<number> | undefined
  #use: SessionUse | undefined
  #unspent: number

  constructor(wanted: GenerationJob) {
    this.#wanted = wanted
    this.#unspent = wanted.cost
  }

  /** Resolves when the session is there. */
  get begun(): Promise<SessionUse> {
    return this.#begun.promise
  }

  /** To be handed to the session cache as its work. */
  async with(session: Session, use: SessionUse): Promise<void> {
    if (session.generate === undefined) {
      throw new VergeError('engine_unsupported', `Model "${this.#wanted.model}" cannot generate text with this engine.`)
    }
    const tokens =
      session.generatesByRuns === true
        ? this.#byRuns(session, use)
        : session.generate(this.#wanted.prompt, this.#wanted.options)[Symbol.asyncIterator]()
    this.#tokens = tokens
    this.#use = use
    this.#begun.resolve(use)
    await this.#ended.promise
  }

  /** Each step runs separately, so that a step without room in the engine can be repeated. */
  #byRuns({ signature }: Session, use: SessionUse): AsyncIterator<number> {
    return generateTokens(
      {
        signature,
        run: (inputs, options) => {
          const runBytes = runFootprint(this.#wanted.artifact, elementsOf(inputs))
          return use.attempt((session) => session.run(inputs, options), runBytes)
        },
      },
      this.#wanted.prompt,
      this.#wanted.options,
    )
  }

  /** What kept the session from being there; too late, it changes nothing. */
  fail(error: unknown): void {
    this.#spend(this.#unspent)
    this.#begun.reject(error)
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<number, undefined>> {
    if (this.#tokens === undefined) return { done: true, value: undefined }
    try {
      const step = await this.#tokens.next()
      this.#use?.renew()
      const { options, cost } = this.#wanted
      this.#spend(cost / (1 + options.maxNewTokens))
      if (!step.done) return step
    } catch (error) {
      this.#end()
      throw error
    }
    this.#end()
    return { done: true, value: undefined }
  }

  async return(): Promise<IteratorResult<number, undefined>> {
    try {
      await this.#tokens?.return?.()
    } finally {
      this.#end()
    }
    return { done: true, value: undefined }
  }

  #end(): void {
    this.#tokens = undefined
    this.#spend(this.#unspent)
    this.#ended.resolve()
  }

  #spend(cost: number): void {
    const spent = Math.min(cost, this.#unspent)
    this.#unspent -= spent
    if (spent > 0) this.#wanted.onSpent(spent)
  }
}

/** The prompt is one run, and each token of the answer is another, each with the constant cost of a run. */
export function runsOf({ inputs }: Manifest, prompt: number, answer: number): InputShapes[] {
  const [ids] = inputs
  if (ids === undefined) return []
  const step = new Map([[ids.name, { shape: [1, 1] }]])
  return [new Map([[ids.name, { shape: [1, prompt] }]]), ...new Array<InputShapes>(answer).fill(step)]
}
