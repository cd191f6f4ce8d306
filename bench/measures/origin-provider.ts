import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { performance } from 'node:perf_hooks'
import { LIMITS } from '../../src/core/limits.ts'
import { silentLogger, systemClock } from '../../src/core/runtime.ts'
import { type Tensors, tensor } from '../../src/core/tensors.ts'
import type { Session } from '../../src/engine/engine.ts'
import { PROVIDERS, type Provider } from '../../src/engine/native/support.ts'
import { ProcessEngine } from '../../src/engine/process/engine.ts'
import { type Summary, summarise } from '../lib/stats.ts'
import { MADE_MODELS, type MadeModelName, madeModel } from '../models/index.ts'

/** What one provider of ONNX Runtime makes of the same models, by the engine of an origin: in a process of its own. */
export interface ProviderRow {
  readonly provider: string
  /** One run of the encoder, in milliseconds. */
  readonly encoder: readonly { readonly what: string; readonly time: Summary }[]
  /** Milliseconds for each token of the decoder: of a prompt, all in one run, and of those written one by one. */
  readonly decoder: {
    readonly promptTokens: number
    readonly writtenTokens: number
    readonly prompt: Summary
    readonly written: Summary
  }
}

export interface ProviderFigures {
  readonly rows: readonly ProviderRow[]
  /** Those that do not run on this machine. */
  readonly missing: readonly Provider[]
}

export const DECODER = 'decoder-fp32'
const ENCODER = 'encoder-fp32'
const PROMPT_TOKENS = 128
const WRITTEN_TOKENS = 64
const SIZES = [
  [1, 128],
  [32, 128],
] as const
const WARM_UP_RUNS = 3
const WORK_LIMIT_MS = 240_000
/** Of both models' vocabularies, and not among the rare ones. */
const FIRST_ID = 1_000
const IDS = 29_000

/** Tries every provider; those that do not run here are named and left out. */
export async function measureProviders(rounds: number): Promise<ProviderFigures> {
  const rows: ProviderRow[] = []
  const missing: Provider[] = []
  for (const provider of PROVIDERS) {
    const engine = new ProcessEngine({
      clock: systemClock,
      logger: silentLogger,
      threads: availableParallelism(),
      providers: [provider],
      maxArtifactBytes: LIMITS.nativeArtifactBytes,
      turnLeaseMs: LIMITS.turnLeaseMs,
      workLimitMs: WORK_LIMIT_MS,
      startLimitMs: WORK_LIMIT_MS,
    })
    try {
      // An engine whose provider does not run falls back to the processor, and says so.
      if ((await engine.health()).provider === provider) rows.push(await measure(engine, provider, rounds))
      else missing.push(provider)
    } finally {
      await engine.close()
    }
  }
  return { rows, missing }
}

async function measure(engine: ProcessEngine, provider: Provider, rounds: number): Promise<ProviderRow> {
  const encoder = await withModel(engine, ENCODER, async (session) => {
    const times = SIZES.map((): number[] => [])
    for (let round = -WARM_UP_RUNS; round < rounds; round++) {
      for (const [at, [rows, length]] of SIZES.entries()) {
        const begun = performance.now()
        await session.run(texts(rows, length), { signal: never() })
        if (round >= 0) times[at]?.push(performance.now() - begun)
      }
    }
    return SIZES.map(([rows, length], at) => ({
      what: `${rows} x ${length} tokens`,
      time: summarise(times[at] ?? []),
    }))
  })
  const decoder = await withModel(engine, DECODER, async (session) => {
    const prompt: number[] = []
    const written: number[] = []
    for (let round = -1; round < rounds; round++) {
      const found = await write(session, round + 1)
      if (round < 0) continue
      prompt.push(found.firstMs / PROMPT_TOKENS)
      written.push(found.restMs / (WRITTEN_TOKENS - 1))
    }
    return {
      promptTokens: PROMPT_TOKENS,
      writtenTokens: WRITTEN_TOKENS,
      prompt: summarise(prompt),
      written: summarise(written),
    }
  })
  return { provider, encoder, decoder }
}

/** @throws Error unless all tokens were written */
async function write(session: Session, seed: number): Promise<{ firstMs: number; restMs: number }> {
  const prompt = Array.from({ length: PROMPT_TOKENS }, (_, at) => idAt(seed, at))
  const options = {
    stopTokens: new Set<number>(),
    prefillTokens: 256,
    maxNewTokens: WRITTEN_TOKENS,
    choose: largest,
    signal: never(),
  }
  const begun = performance.now()
  const times: number[] = []
  for await (const _ of session.generate?.(prompt, options) ?? []) times.push(performance.now())
  const [first = Number.NaN] = times
  if (times.length !== WRITTEN_TOKENS) throw new Error(`${times.length} tokens were written of ${WRITTEN_TOKENS}`)
  return { firstMs: first - begun, restMs: (times.at(-1) ?? Number.NaN) - first }
}

async function withModel<T>(
  engine: ProcessEngine,
  name: MadeModelName,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const { file } = await madeModel(name)
  const { size } = await stat(file)
  const artifact = { sha256: MADE_MODELS[name].sha256, format: 'onnx' as const, bytes: size }
  const deliver = async (write: (offset: number, data: Uint8Array) => void): Promise<void> => {
    let offset = 0
    for await (const piece of createReadStream(file) as AsyncIterable<Buffer>) {
      write(offset, piece)
      offset += piece.length
    }
  }
  const session = await engine.load(artifact, { bytes: size, file, deliver }, { signal: never() })
  try {
    return await work(session)
  } finally {
    session.dispose()
  }
}

function texts(rows: number, length: number): Tensors {
  const shape = [rows, length]
  const ids = BigInt64Array.from({ length: rows * length }, (_, at) => BigInt(idAt(rows, at)))
  return new Map([
    ['input_ids', tensor('INT64', shape, ids)],
    ['attention_mask', tensor('INT64', shape, new BigInt64Array(rows * length).fill(1n))],
  ])
}

function idAt(seed: number, at: number): number {
  return FIRST_ID + ((seed * 7919 + at * 104_729) % IDS)
}

function largest(logits: Float32Array): number {
  let best = 0
  for (let at = 1; at < logits.length; at++) if ((logits[at] ?? 0) > (logits[best] ?? 0)) best = at
  return best
}

function never(): AbortSignal {
  return new AbortController().signal
}
