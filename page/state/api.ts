import { credentialsOf } from '../../src/client/credentials.ts'
import { ask, type CallOptions, json, type Transport } from '../../src/client/transport.ts'
import type { ModelCard, ModelInfo } from '../models.ts'
import type { PanelRequest } from '../panels/request.ts'

/** What the Worker says about itself. */
export interface WorkerInfo {
  readonly version: string
  readonly engine: string
  readonly ok: boolean
  /** What the Worker takes the page's credential for; undefined where there is none, or it is not accepted. */
  readonly caller: CallerKind | undefined
}

export type CallerKind = 'operator' | 'key' | 'sign-in' | 'token'

interface Health {
  readonly engine: string
  readonly status: string
  readonly caller?: CallerKind
}

interface ModelCards {
  readonly models: readonly ModelCard[]
  readonly next?: string
}

/** Questions of the page itself, beside running models. All throw a `VergeError`. */
export interface Api {
  /** The first of the models whose names begin so; `next`: there are more. */
  models(options?: CallOptions & { readonly prefix?: string }): Promise<ModelCards>
  model(name: string, options?: CallOptions): Promise<ModelInfo>
  worker(options?: CallOptions): Promise<WorkerInfo>
  /** Where the Worker would run a request of this kind, and why: for the operator. */
  explain(model: string, request: PanelRequest, options?: CallOptions): Promise<unknown>
}

export function createApi(transport: Transport): Api {
  const get = <Answer>(path: string, options: CallOptions = {}): Promise<Answer> =>
    ask(transport, { path }, options, json<Answer>)
  return {
    models: ({ prefix = '', ...options } = {}) =>
      get(prefix === '' ? '/models' : `/models?prefix=${encodeURIComponent(prefix)}`, options),
    model: (name, options) => get<ModelInfo>(`/models/${encodeURIComponent(name)}`, options),
    async worker(options) {
      const anonymous = { ...transport, credentials: credentialsOf({}, transport.clock) }
      const { version } = await ask(anonymous, { path: '/v2' }, options ?? {}, json<{ readonly version: string }>)
      const credential = await transport.credentials.current()
      const healthFor = (bearer: string | undefined): Promise<Response> =>
        transport.fetch(`${transport.base}/healthz`, {
          headers: bearer === undefined ? {} : { authorization: `Bearer ${bearer}` },
          signal: options?.signal ?? null,
        })
      const first = await healthFor(credential)
      // A token that has ended is refused everywhere, which says nothing of the Worker.
      const { caller, engine, status } = await json<Health>(first.status === 401 ? await healthFor(undefined) : first)
      return { version, engine, ok: status === 'ok', caller }
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
