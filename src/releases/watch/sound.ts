import { canarySchema } from '../../catalog/canary.ts'
import type { Limits } from '../../core/limits.ts'
import { isObject } from '../../core/objects.ts'
import type { Share } from './evidence.ts'
import { NO_COUNTS, type WatchCounts } from './judge.ts'
import type { WatchReport } from './report.ts'
import type { Side } from './two-sample.ts'

type SoundLimits = Pick<Limits, 'canaryReportCount' | 'canaryReportText'>

/**
 * A report whose counts can be what an isolate has seen; without counts where they cannot. Undefined where it does not say of
 * which trial it is. An isolate of another version of Verge may leave out or add a field, and one number that is none would
 * be in the evidence for as long as the trial lasts.
 */
export function soundReport(report: WatchReport, limits: SoundLimits): WatchReport | undefined {
  const { canary, digest, generation, seq, source } = report
  const known = canarySchema.safeParse(canary)
  if (!known.success || !isText(source, limits) || !(digest === undefined || isText(digest, limits))) return undefined
  if (!Number.isSafeInteger(generation) || !Number.isSafeInteger(seq)) return undefined
  return { ...report, canary: known.data, counts: soundCounts(report.counts, limits) ?? NO_COUNTS }
}

function isText(value: unknown, { canaryReportText }: SoundLimits): boolean {
  return typeof value === 'string' && value !== '' && value.length <= canaryReportText
}

function soundCounts(value: unknown, { canaryReportCount }: SoundLimits): WatchCounts | undefined {
  if (!isObject(value)) return undefined
  const isCount = (each: unknown): each is number =>
    Number.isInteger(each) && Number(each) >= 0 && Number(each) <= canaryReportCount
  const isSide = (each: unknown): each is Side =>
    isObject(each) && isCount(each.requests) && isCount(each.errors) && each.errors <= each.requests
  const isShare = (each: unknown): each is Share =>
    isObject(each) && isCount(each.of) && isCount(each.count) && each.count <= each.of
  const counts: Readonly<Record<keyof WatchCounts, unknown>> = { ...NO_COUNTS, ...value }
  const { canary, costlier, disagreed, failed, incomparable, largest, skipped, slower, stable } = counts
  if (!isSide(canary) || !isSide(stable) || !isCount(failed) || !isCount(skipped)) return undefined
  if (!isCount(incomparable)) return undefined
  if (!isShare(costlier) || !isShare(disagreed) || !isShare(slower)) return undefined
  if (typeof largest !== 'number' || !Number.isFinite(largest) || largest < 0) return undefined
  return { canary, stable, disagreed, costlier, slower, failed, skipped, incomparable, largest }
}
