import { ask, type CallOptions, json, type Transport } from '../../src/client/transport.ts'
import type { ModelCard, ModelInfo } from '../models.ts'
import type { PanelRequest } from '../panels/request.ts'

/** What the Worker says about itself. */
export interface WorkerInfo {
  readonly version: string
  readonly engine: string
  readonly ok: boolean
  /** Whether the Worker knows the key of the page as the operator's. */
  readonly operator: boolean
}

interface Health {
  readonly engine: string
  readonly status: string
  readonly heap_bytes?: number
}

/** Questions of the page itself, beside running models. All throw a `VergeError`. */
export interface Api {
  models(options?: CallOptions): Promise<readonly ModelCard[]>
  model(name: string, options?: CallOptions): Promise<ModelInfo>
  worker(options?: CallOptions): Promise<WorkerInfo>
  /** Where the Worker would run a request of this kind, and why: for the operator. */
  explain(model: string, request: PanelRequest, options?: CallOptions): Promise<unknown>
}

export function createApi(transport: Transport): Api {
  const get = <Answer>(path: string, options: CallOptions = {}): Promise<Answer> =>
    ask(transport, { path }, options, json<Answer>)
  return {
    models: async (options) => (await get<{ readonly models: readonly ModelCard[] }>('/models', options)).models,
    model: (name, options) => get<ModelInfo>(`/models/${encodeURIComponent(name)}`, options),
    async worker(options) {
      const { version } = await get<{ readonly version: string }>('/v2', options)
      // A Worker that cannot run models answers 503, with the same fields.
      const credential = await transport.credentials.current()
      const health = await transport.fetch(`${transport.base}/healthz`, {
        headers: credential === undefined ? {} : { authorization: `Bearer ${credential}` },
        signal: options?.signal ?? null,
      })
      const { engine, heap_bytes: heap, status } = await json<Health>(health)
      // Figures are for the operator alone.
      return { version, engine, ok: status === 'ok', operator: heap !== undefined }
    },
    explain: (name, { method }, options) =>
      get(`/explain/${encodeURIComponent(name)}?route=${ROUTES[method]}`, options),
  }
}

/** The routes of `GET /explain/{model}`, by what a panel asks. */
const ROUTES: Readonly<Record<PanelRequest['method'], string>> = {
  run: 'task',
  infer: 'oip',
  embed: 'openai',
  chat: 'openai',
  complete: 'openai',
  rerank: 'rerank',
}
