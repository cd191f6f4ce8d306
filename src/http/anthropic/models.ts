import type { Context } from 'hono'
import type { Alias } from '../../catalog/alias.ts'
import { VergeError } from '../../core/errors.ts'
import { visibleModel, visibleModels } from '../../inference/access.ts'
import type { AnthropicModel, AnthropicModelList } from '../../protocols/anthropic/messages.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { accessOf } from '../inference.ts'
import { modelNamed } from '../model-names.ts'

/** As Anthropic has it. */
const DEFAULT_PAGE = 20
const MOST_PAGE = 1_000

/** `GET /v1/models`, a page of it: by `limit`, `after_id` and `before_id`. */
export async function listModels(deps: AppDeps, c: Context<AppEnv>): Promise<Response> {
  const all = (await visibleModels(accessOf(deps, c))).map(modelOf)
  const limit = limitOf(c.req.query('limit'))
  const { after_id: after, before_id: before } = c.req.query()
  const from = after === undefined ? 0 : placeOf(all, after, 'after_id') + 1
  const to = before === undefined ? all.length : placeOf(all, before, 'before_id')
  // With before_id the page ends there, else it begins at its beginning.
  const data = before === undefined ? all.slice(from, from + limit) : all.slice(Math.max(from, to - limit), to)
  const body: AnthropicModelList = {
    data,
    has_more: data.length < to - from,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
  }
  return c.json(body)
}

/** `GET /v1/models/{model}`, by the name that is asked for. */
export async function oneModel(deps: AppDeps, c: Context<AppEnv>, asked: string): Promise<Response> {
  const alias = await visibleModel(accessOf(deps, c), modelNamed(asked, deps.config.modelNames))
  return c.json({ ...modelOf(alias), id: asked })
}

function limitOf(given: string | undefined): number {
  if (given === undefined) return DEFAULT_PAGE
  const limit = /^\d{1,4}$/.test(given) ? Number(given) : 0
  if (limit >= 1 && limit <= MOST_PAGE) return limit
  throw new VergeError('invalid_request', `The parameter "limit" must be a whole number from 1 to ${MOST_PAGE}.`, {
    details: { field: 'limit' },
  })
}

function placeOf(all: readonly AnthropicModel[], id: string, field: string): number {
  const place = all.findIndex((model) => model.id === id)
  if (place !== -1) return place
  throw new VergeError('invalid_request', `The parameter "${field}" names no model of the list.`, {
    details: { field },
  })
}

function modelOf({ created, live, model }: Alias): AnthropicModel {
  const pushed = Math.max(0, ...live.map(({ version }) => created?.[version] ?? 0))
  return {
    type: 'model',
    id: model,
    display_name: model,
    created_at: new Date(pushed * 1000).toISOString(),
    max_input_tokens: null,
    max_tokens: null,
    capabilities: null,
    deprecated_at: null,
    lifecycle: 'active',
    line: null,
    retires_at: null,
  }
}
