import { type Clock, type Logger, silentLogger } from '../../src/core/runtime.ts'
import type { Engine, Session } from '../../src/engine/engine.ts'
import type { Provider } from '../../src/engine/native/support.ts'
import { never } from '../../synthetic/source.ts'
import { summarise } from '../lib/stats.ts'
import { checkBatching } from './batching.ts'
import { distance, judged } from './compare.ts'
import type { Device } from './devices.ts'
import { checkGeneration } from './generation.ts'
import { checkMemory } from './memory.ts'
import type { ProviderResult, Row } from './result.ts'
import type { Subject } from './subjects.ts'
import { withModel } from './with-model.ts'

/** An engine of an origin: in a process of its own. */
export type CheckedEngine = Engine & { close(): Promise<void> }

export interface GpuCheckOptions {
  readonly providers: readonly Provider[]
  readonly engine: (provider: Provider, logger: Logger) => CheckedEngine
  readonly subjects: readonly Subject[]
  /** Answered by 32 callers at once: takes texts (`input_ids`, `attention_mask`). */
  readonly batched: Pick<Subject, 'name' | 'bytes' | 'tolerance'>
  /** Writes texts, token by token. */
  readonly writer: Pick<Subject, 'name' | 'bytes' | 'tolerance'>
  readonly clock: Clock
  /** When this is over, no further part is begun; those left out are faults. */
  readonly limitMs: number
  /** A measurement ends after so many runs, or so long. */
  readonly rounds: number
  readonly measureMs: number
  readonly device: () => Promise<Device | undefined>
  /** Told what is being done. */
  readonly say: (line: string) => void
}

const WARM_UP_RUNS = 3

/** Runs everything on the processor, and again on each provider that runs here, beside it. */
export async function gpuCheck(options: GpuCheckOptions): Promise<readonly ProviderResult[]> {
  const end = options.clock.now() + options.limitMs
  const missing: ProviderResult[] = []
  const present: Provider[] = []
  for (const provider of options.providers) {
    const reason = await refusal(provider, options)
    if (reason === undefined) present.push(provider)
    else missing.push({ provider, ran: false, reason })
  }
  // Without a provider to compare, the processor's own answers say nothing.
  if (present.length === 0) return missing
  const reference = await onProvider('cpu', options, undefined, end)
  const results = [reference]
  for (const provider of present) results.push(await onProvider(provider, options, reference, end))
  return [...results, ...missing]
}

/** Why a provider does not run here; undefined if it does. */
async function refusal(provider: Provider, { engine: start, say }: GpuCheckOptions): Promise<string | undefined> {
  say(`${provider}: does it run here?`)
  const engine = start(provider, silentLogger)
  try {
    // An engine whose provider does not run falls back to the processor, and says why.
    const { detail, provider: chosen } = await engine.health()
    return chosen === provider ? undefined : (detail ?? 'the engine does not say why')
  } finally {
    await engine.close()
  }
}

async function onProvider(
  provider: Provider,
  options: GpuCheckOptions,
  reference: ProviderResult | undefined,
  end: number,
): Promise<ProviderResult> {
  const { clock, say } = options
  const fallbacks: string[] = []
  const logger: Logger = {
    info() {},
    warn(event, fields = {}) {
      if (event === 'provider_fallback') fallbacks.push(String(fields.reason))
    },
    error() {},
  }
  const engine = options.engine(provider, logger)
  try {
    const rows: Row[] = []
    const faults: string[] = []
    const part = async (what: string, work: () => Promise<readonly Row[]>): Promise<void> => {
      if (clock.now() >= end) {
        faults.push(`${what} was not checked: the time is over`)
        return
      }
      say(`${provider}: ${what}`)
      const before = fallbacks.length
      try {
        const found = await work()
        rows.push(...found)
        for (const { fault, what: row } of found) if (fault !== undefined) faults.push(`${row}: ${fault}`)
      } catch (error) {
        faults.push(`${what} failed: ${error instanceof Error ? error.message : String(error)}`)
      }
      // The origin would serve the model all the same, and nobody would learn that its GPU is idle.
      for (const reason of fallbacks.slice(before)) faults.push(`${what} ran on the processor: ${reason}`)
    }
    const known = new Map(reference?.ran ? reference.rows.map((row) => [row.what, row]) : [])
    for (const subject of options.subjects) {
      await part(subject.name, () => withModel(engine, subject, (session) => answers(session, subject, known, options)))
    }
    await part(`batching, ${options.batched.name}`, () => checkBatching(engine, options.batched, known, options))
    await part(`generation, ${options.writer.name}`, () =>
      withModel(engine, options.writer, (session) => checkGeneration(session, options.writer, known, options)),
    )
    await part('memory', () => checkMemory(engine, options.batched, options.device))
    return { provider, ran: true, rows, faults }
  } finally {
    await engine.close()
  }
}

/** Runs every case until its rounds or its time are used up, and compares its last answer with the processor's. */
async function answers(
  session: Session,
  { cases, name, tolerance }: Subject,
  known: ReadonlyMap<string, Row>,
  { clock, measureMs, rounds }: GpuCheckOptions,
): Promise<Row[]> {
  const rows: Row[] = []
  for (const { inputs, items, what } of cases) {
    let answer = new Map() as Awaited<ReturnType<Session['run']>>
    const times: number[] = []
    const begun = clock.now()
    for (let round = -WARM_UP_RUNS; round < rounds; round++) {
      if (times.length > 0 && clock.now() - begun > measureMs) break
      const at = clock.now()
      answer = await session.run(inputs, { signal: never() })
      if (round >= 0) times.push(clock.now() - at)
    }
    const row = `${name}, ${what}`
    const expected = known.get(row)?.answer
    const time = summarise(times)
    rows.push({
      what: row,
      time,
      perSecond: (1000 * items) / time.p50,
      answer,
      ...judged(expected && distance(expected, answer), tolerance),
    })
  }
  return rows
}
