/**
 * Verge itself, with its own time from the request to the last byte of the answer in `bench-inside`, in milliseconds.
 * From outside, HTTP and the client's own work are in the time as well.
 */
import verge, { type Env } from '../../src/worker.ts'

export default {
  async fetch(request: Request, env: Env, context: ExecutionContext): Promise<Response> {
    const begun = performance.now()
    const { body, headers, status } = await verge.fetch(request as Parameters<typeof verge.fetch>[0], env, context)
    const bytes = await new Response(body).arrayBuffer()
    const answer = new Response(bytes, { status, headers })
    answer.headers.set('bench-inside', String(performance.now() - begun))
    return answer
  },
}
