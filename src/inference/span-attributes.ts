import type { Attributes } from '../core/tracing.ts'
import type { RunLedger } from '../serving/ledger.ts'

/** What a request came to, by the catalogue's names and in figures: docs/traces.md lists them. */
export function attributesOf(ledger: RunLedger): Attributes {
  const { cache, cost, inputTokens, model: answered, origin, originUnits, outputTokens, start, timings, units } = ledger
  const [model, version] = answered?.split('@') ?? []
  return {
    'verge.model': model,
    'verge.version': version,
    'verge.place': ledger.place,
    'verge.origin': origin,
    'verge.start': start,
    'verge.cache': cache,
    ...(model !== undefined && { 'verge.cost': cost, 'verge.units': units, 'verge.origin_units': originUnits }),
    // A load that another request had begun has no span here.
    ...(timings !== undefined && timings.loadMs > 0 && { 'verge.load_ms': timings.loadMs }),
    ...(inputTokens > 0 && { 'gen_ai.usage.input_tokens': inputTokens }),
    ...(outputTokens > 0 && { 'gen_ai.usage.output_tokens': outputTokens }),
  }
}
