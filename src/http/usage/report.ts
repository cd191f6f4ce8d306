import { usdFromNano } from '../../metering/prices.ts'
import { addCounts, type Counts, NO_COUNTS } from '../../metering/usage/counts.ts'
import type { UsageAnswer } from '../../metering/usage/principal-usage.ts'
import { NO_MODEL } from '../../metering/usage/usage-by-day.ts'
import type { UsageQuestion } from '../../metering/usage/usage-tables.ts'
import type { UsageCounts, UsageReport } from '../../protocols/usage.ts'

/** A ledger's answer in the words of the API. */
export function usageReport(
  principal: string,
  { from, group, to }: UsageQuestion,
  { lastUsedAt, sums }: UsageAnswer,
): UsageReport {
  return {
    principal,
    from,
    to,
    group,
    last_used_at: lastUsedAt === undefined ? null : new Date(lastUsedAt).toISOString(),
    data: sums.map(({ counts, name }) => ({
      ...(group === 'day' ? { day: name } : { model: name === NO_MODEL ? null : name }),
      ...countsOf(counts),
    })),
    total: countsOf(sums.reduce((sum, { counts }) => addCounts(sum, counts), NO_COUNTS)),
  }
}

function countsOf(counts: Counts): UsageCounts {
  const {
    byToken,
    cached,
    cpuMicroseconds,
    errors,
    inputTokens,
    milliUnits,
    nanoUsd,
    originMs,
    outputTokens,
    requests,
  } = counts
  return {
    requests,
    errors,
    cached,
    by_token: byToken,
    input_tokens: inputTokens,
    output_tokens: outputTokens,
    units: milliUnits / 1000,
    cpu_ms: cpuMicroseconds / 1000,
    origin_ms: originMs,
    usd: usdFromNano(nanoUsd),
  }
}
