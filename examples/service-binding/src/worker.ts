import { createClient } from 'verge/client'
import type { VergeBinding, VergeClassification } from 'verge/rpc'

interface Env {
  readonly VERGE: VergeBinding
  readonly VERGE_HTTP: Fetcher
}

export default {
  async fetch(request, env): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url)
    const text = searchParams.get('text') ?? ''
    switch (pathname) {
      // RPC: a call of a function. The picture streams through this Worker to Verge.
      case '/digit': {
        const [best] = await env.VERGE.run<VergeClassification>('digits', request, { parameters: { top_k: 1 } })
        return Response.json({ digit: best?.label ?? null })
      }
      // RPC with failures as values.
      case '/review': {
        const outcome = await env.VERGE.tryRun<VergeClassification>('reviews', text)
        if (!outcome.ok) return Response.json({ error: outcome.error.code }, { status: outcome.error.status })
        return Response.json({ label: outcome.answer[0]?.label, model: outcome.model })
      }
      // RPC with a stream: server-sent events, as OpenAI's clients read them.
      case '/ask': {
        const messages = [{ role: 'user', content: text }]
        const events = await env.VERGE.chat('abacus', { messages, stream: true })
        return new Response(events, { headers: { 'content-type': 'text/event-stream' } })
      }
      // The client over the binding: the same methods as in a page or in Node.
      case '/labels': {
        const verge = createClient({
          url: 'https://verge.internal',
          fetch: (url, init) => env.VERGE_HTTP.fetch(url, init),
        })
        return Response.json(await verge.classify('reviews', text))
      }
      // Any route of Verge, passed on.
      case '/v1/models':
        return env.VERGE_HTTP.fetch(request)
      default:
        return new Response('Try /review?text=A+wonderful+film\n', { status: 404 })
    }
  },
} satisfies ExportedHandler<Env>
