import { VergeError } from '../core/errors.ts'
import type { ArtifactInfo, GenerateOptions, Session } from '../engine/engine.ts'
import { runFootprint } from '../engine/footprint.ts'
import { generateTokens } from '../engine/generate.ts'
import type { SessionUse } from '../sessions/cache.ts'
import { elementsOf } from './pricing.ts'

/**
 * Tokens of a session that is held for as long as they are read: whoever reads them to the end, stops early or never
 * begins lets it go by `return`, as `for await` does; the lease of a reader that was killed runs out.
 */
export class Generating implements AsyncIterableIterator<number> {
  readonly #prompt: readonly number[]
  readonly #options: GenerateOptions
  readonly #model: string
  readonly #artifact: ArtifactInfo
  readonly #begun = Promise.withResolvers<SessionUse>()
  readonly #ended = Promise.withResolvers<void>()
  #tokens: AsyncIterator<number> | undefined
  #use: SessionUse | undefined

  constructor(prompt: readonly number[], options: GenerateOptions, model: string, artifact: ArtifactInfo) {
    this.#prompt = prompt
    this.#options = options
    this.#model = model
    this.#artifact = artifact
  }

  /** Resolves when the session is there. */
  get begun(): Promise<SessionUse> {
    return this.#begun.promise
  }

  /** To be handed to the session cache as its work. */
  async with(session: Session, use: SessionUse): Promise<void> {
    if (session.generate === undefined) {
      throw new VergeError('engine_unsupported', `Model "${this.#model}" cannot write texts with this engine.`)
    }
    const tokens =
      session.generatesByRuns === true
        ? this.#byRuns(session, use)
        : session.generate(this.#prompt, this.#options)[Symbol.asyncIterator]()
    this.#tokens = tokens
    this.#use = use
    this.#begun.resolve(use)
    await this.#ended.promise
  }

  /** Each step by itself, so that one that finds no room in the engine is made again once there is some. */
  #byRuns({ signature }: Session, use: SessionUse): AsyncIterator<number> {
    return generateTokens(
      {
        signature,
        run: (inputs, options) => {
          const runBytes = runFootprint(this.#artifact, elementsOf(inputs))
          return use.attempt((session) => session.run(inputs, options), runBytes)
        },
      },
      this.#prompt,
      this.#options,
    )
  }

  /** What kept the session from being there; too late, it changes nothing. */
  fail(error: unknown): void {
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
    this.#ended.resolve()
  }
}
