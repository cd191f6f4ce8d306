import { throwIfAborted, VergeError } from '../core/errors.ts'
import { halves, type Signature, type Tensor } from '../core/tensors.ts'
import { type CausalLayout, causalLayout, emptyCache, stepInputs } from './causal.ts'
import type { GenerateOptions, RunOptions, Session } from './engine.ts'

/** How a step waits for its turn. */
export type StepOptions = Omit<RunOptions, 'outputs'>

/** Runs a model on values of the engine's own kind, so that a cache need not change its form between two steps. */
export interface StepRunner<V> {
  /** @param name of the input that it is for */
  toValue(name: string, value: Tensor): V
  fromValue(name: string, value: V | undefined): Tensor
  run(inputs: ReadonlyMap<string, V>, outputs: readonly string[], options: StepOptions): Promise<ReadonlyMap<string, V>>
}

/** One sequence on its way through a causal language model, with its key-value cache. */
export class CausalDecoder<V> {
  readonly layout: CausalLayout
  readonly #runner: StepRunner<V>
  /** By name of the input. */
  readonly #cache = new Map<string, V>()
  /** Positions in the cache; for a model without one, the tokens so far. */
  #past = 0
  readonly #tokens: number[] = []

  /** @throws engine_unsupported if the signature is not that of a causal language model */
  constructor(signature: Signature, runner: StepRunner<V>) {
    this.layout = causalLayout(signature)
    this.#runner = runner
    for (const pair of this.layout.cache) this.#cache.set(pair.past, runner.toValue(pair.past, emptyCache(pair)))
  }

  /**
   * Adds tokens to the sequence. One feed at a time.
   * @returns a copy of the logits of the last token, one per entry of the vocabulary
   * @throws errors of `Session.run`; engine_unsupported if the cache does not grow as expected
   */
  async feed(tokens: readonly number[], options: StepOptions): Promise<Float32Array> {
    const { cache, logits } = this.layout
    const cached = cache.length > 0
    if (!cached) for (const token of tokens) this.#tokens.push(token)
    const inputs = new Map(this.#cache)
    for (const [name, value] of stepInputs(this.layout, cached ? tokens : this.#tokens, this.#past)) {
      inputs.set(name, this.#runner.toValue(name, value))
    }
    const outputs = await this.#runner.run(inputs, [logits, ...cache.map(({ present }) => present)], options)
    if (cached) this.#past += tokens.length
    for (const pair of cache) {
      const value = outputs.get(pair.present)
      const positions = this.#runner.fromValue(pair.present, value).shape[pair.axis]
      if (value === undefined || positions !== this.#past) {
        throw new VergeError(
          'engine_unsupported',
          `The model cannot generate text: output "${pair.present}" has ${positions} positions after ${this.#past} tokens.`,
        )
      }
      this.#cache.set(pair.past, value)
    }
    return lastLogits(this.#runner.fromValue(logits, outputs.get(logits)))
  }
}

/** The last row of [1, positions, vocabulary] or [1, vocabulary]. */
function lastLogits({ datatype, shape, data }: Tensor): Float32Array {
  const width = shape.at(-1) ?? 0
  if (width === 0 || data.length < width) {
    throw new VergeError('run_rejected', `The model returned logits of the shape [${shape.join(', ')}].`)
  }
  const from = data.length - width
  if (datatype === 'FP32') return data.slice(from)
  if (datatype === 'FP16') return Float32Array.from(halves(data.subarray(from)))
  throw new VergeError(
    'engine_unsupported',
    `The model's logits are ${datatype}; Verge samples from FP32 and FP16 only.`,
  )
}

/**
 * Chooses tokens one after the other, feeding the model the prompt first and then each chosen token. If the model has a
 * cache, a long prompt is fed in parts as separate runs, so that other runs can execute in between. A merged decoder
 * uses another branch for its prompt, and gets it whole.
 * @param feed adds tokens to the sequence and answers the logits of the last
 */
export async function* decodeTokens(
  layout: Pick<CausalLayout, 'cache' | 'branch'>,
  feed: (tokens: readonly number[], options: StepOptions) => Promise<Float32Array>,
  prompt: readonly number[],
  options: GenerateOptions,
): AsyncGenerator<number, void, undefined> {
  const { stopTokens, maxNewTokens, prefillTokens, choose, signal, onTurn, runsBefore } = options
  if (prompt.length === 0) {
    throw new VergeError('empty_input', 'A prompt must have at least one token.')
  }
  // The arrival of the request applies to its first run only.
  let step: StepOptions = { signal, ...(onTurn && { onTurn }), ...(runsBefore !== undefined && { runsBefore }) }
  const inParts = layout.cache.length > 0 && layout.branch === undefined
  const most = inParts ? prefillTokens : prompt.length
  let from = 0
  for (; prompt.length - from > most; from += most) {
    throwIfAborted(signal)
    await feed(prompt.slice(from, from + most), step)
    step = { signal }
  }
  let tokens = prompt.slice(from)
  for (let made = 0; made < maxNewTokens; made++) {
    throwIfAborted(signal)
    const token = choose(await feed(tokens, step))
    if (stopTokens.has(token)) return
    yield token
    tokens = [token]
    step = { signal }
  }
}

/** `Session.generate` by way of `Session.run`: for engines that have nothing faster. */
export async function* generateTokens(
  session: Pick<Session, 'signature' | 'run'>,
  prompt: readonly number[],
  options: GenerateOptions,
): AsyncGenerator<number, void, undefined> {
  const decoder = new CausalDecoder<Tensor>(session.signature, {
    toValue: (_, value) => value,
    fromValue: (name, value) => {
      if (value === undefined) throw new VergeError('internal', `The engine did not return the output "${name}".`)
      return value
    },
    run: (inputs, outputs, step) => session.run(inputs, { ...step, outputs }),
  })
  yield* decodeTokens(decoder.layout, (tokens, step) => decoder.feed(tokens, step), prompt, options)
}
