/**
 * Verge itself, which counts the calls of the objects that metrics and canaries are handed to. The address /telemetry-calls
 * says how many there were.
 */
import verge, { type Env, CanaryWatch as VergeCanaryWatch, Metrics as VergeMetrics } from '../../src/worker.ts'

let calls = 0

export class Metrics extends VergeMetrics {
  override book(...block: Parameters<VergeMetrics['book']>): ReturnType<VergeMetrics['book']> {
    calls++
    return super.book(...block)
  }
}

export class CanaryWatch extends VergeCanaryWatch {
  override report(...report: Parameters<VergeCanaryWatch['report']>): ReturnType<VergeCanaryWatch['report']> {
    calls++
    return super.report(...report)
  }
}

export default {
  async fetch(request, env, context): Promise<Response> {
    if (new URL(request.url).pathname === '/telemetry-calls') return Response.json({ calls })
    return verge.fetch(request, env, context)
  },
} satisfies ExportedHandler<Env>
