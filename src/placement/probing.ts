import type { Limits } from '../core/limits.ts'
import type { Clock } from '../core/runtime.ts'
import { type HealthRecord, type HealthStore, type HealthViewOptions, type OriginHealth, readRecord } from './health.ts'

/** What one look at an origin has found. `detail` is for operators: no address, no credential. */
export interface ProbeResult {
  readonly ok: boolean
  readonly latencyMs: number
  readonly queue?: number
  readonly provider?: string
  readonly detail?: string
}

/** Looks at an origin once; gives up when the signal is raised. */
export type ProbeOrigin<O> = (origin: O, signal: AbortSignal) => Promise<ProbeResult>

type ProbingLimits = Pick<Limits, 'originDetailLength' | 'originProbeMs'>

export interface ProbingOptions {
  /** Of Unix time. */
  readonly clock: Clock
  readonly limits: ProbingLimits
  /** What was known before; its failures count on. */
  readonly previous?: HealthRecord | undefined
}

/** So many failed probes in a row mark an origin as down; one good probe marks it as up, so that it is soon of use. */
const FAILURES = 2

/** Probes all origins at once; takes no longer than the longest that a probe may take. */
export async function probeOrigins<O extends { readonly name: string }>(
  origins: readonly O[],
  probe: ProbeOrigin<O>,
  { clock, limits, previous }: ProbingOptions,
): Promise<HealthRecord> {
  const entries = await Promise.all(
    origins.map(async (origin) => {
      const before =
        previous !== undefined && Object.hasOwn(previous.origins, origin.name)
          ? previous.origins[origin.name]
          : undefined
      return [origin.name, entryOf(await probeOne(origin, probe, clock, limits), before, clock.now(), limits)] as const
    }),
  )
  return { schema: 1, at: clock.now(), origins: Object.fromEntries(entries) }
}

/**
 * A cron trigger's work: probes, and writes the record if it says something new or the old one grows old. Writing less
 * often than probing keeps a trigger a minute within the thousand writes a day of KV's free plan.
 * @throws what the store throws on writing
 */
export async function probeAndRecord<O extends { readonly name: string }>(
  origins: readonly O[],
  probe: ProbeOrigin<O>,
  store: HealthStore,
  {
    clock,
    limits,
    logger,
  }: Pick<HealthViewOptions, 'clock' | 'logger'> & {
    readonly limits: ProbingLimits & HealthViewOptions['limits']
  },
): Promise<HealthRecord> {
  const previous = await store.read().then(
    (value) => readRecord(value, clock.now(), limits),
    () => undefined,
  )
  const record = await probeOrigins(origins, probe, { clock, limits, previous })
  for (const [name, { ok, detail, failures }] of Object.entries(record.origins)) {
    const wasOk = previous?.origins[name]?.ok ?? true
    if (ok === wasOk) continue
    if (ok) logger.info('origin_up', { origin: name })
    else logger.warn('origin_down', { origin: name, failures, detail })
  }
  if (previous === undefined || saysMore(record, previous)) await store.write(record)
  return record
}

/** A record is written again at this age though nothing has changed: every second minute. */
const REWRITE_MS = 90_000

function saysMore(record: HealthRecord, previous: HealthRecord): boolean {
  if (record.at - previous.at >= REWRITE_MS) return true
  const states = ({ origins }: HealthRecord): string =>
    JSON.stringify(Object.entries(origins).map(([name, { ok, failures }]) => [name, ok, Math.min(failures, FAILURES)]))
  return states(record) !== states(previous)
}

async function probeOne<O>(
  origin: O,
  probe: ProbeOrigin<O>,
  clock: Clock,
  { originProbeMs }: ProbingLimits,
): Promise<ProbeResult> {
  const begun = clock.now()
  const controller = new AbortController()
  return new Promise((resolve) => {
    const failed = (detail: string): void => resolve({ ok: false, latencyMs: clock.now() - begun, detail })
    const cancelTimer = clock.after(originProbeMs, () => {
      failed(`no answer within ${originProbeMs} ms`)
      controller.abort(new Error('The probe took too long.'))
    })
    const probing = async (): Promise<ProbeResult> => probe(origin, controller.signal)
    probing()
      .then(resolve)
      // what a failed connection says may hold an address
      .catch(() => failed('the probe failed'))
      .finally(cancelTimer)
  })
}

function entryOf(
  result: ProbeResult,
  before: OriginHealth | undefined,
  checkedAt: number,
  { originDetailLength }: ProbingLimits,
): OriginHealth {
  const { detail, latencyMs, ok, provider, queue } = result
  const failures = ok ? 0 : (before?.failures ?? 0) + 1
  return {
    ok: failures < FAILURES,
    latencyMs: Math.max(0, latencyMs),
    checkedAt,
    failures,
    ...(queue !== undefined && queue >= 0 && { queue }),
    ...(provider !== undefined && { provider: provider.slice(0, originDetailLength) }),
    ...(detail !== undefined && { detail: detail.slice(0, originDetailLength) }),
  }
}
