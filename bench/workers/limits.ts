/**
 * Verge itself, which counts the calls of its ledgers: they are in the same process here, and may be in the same isolate. The
 * address /ledger-calls says how many there were.
 */
import verge, { type Env, Ledger as VergeLedger } from '../../src/worker.ts'

let calls = 0

export class Ledger extends VergeLedger {
  override lease(...request: Parameters<VergeLedger['lease']>): ReturnType<VergeLedger['lease']> {
    calls++
    return super.lease(...request)
  }

  override bookUsage(...block: Parameters<VergeLedger['bookUsage']>): ReturnType<VergeLedger['bookUsage']> {
    calls++
    return super.bookUsage(...block)
  }
}

export default {
  async fetch(request, env, context): Promise<Response> {
    if (new URL(request.url).pathname === '/ledger-calls') return Response.json({ calls })
    return verge.fetch(request, env, context)
  },
} satisfies ExportedHandler<Env>
