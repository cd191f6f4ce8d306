import type { Context } from 'hono'
import type { Alias } from '../../catalog/alias.ts'
import { entryOf, type MainVersion, type ModelEntry } from '../../catalog/index/entry.ts'
import type { ModelPage } from '../../catalog/index/query.ts'
import { type Manifest, MODEL_NAME } from '../../catalog/manifest.ts'
import { VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import { type Access, type ListPart, visibleModels } from '../../inference/access.ts'
import type { AppEnv } from '../app-env.ts'

/** A model whose main version can be read. */
export interface ListedModel extends ModelEntry {
  readonly main: MainVersion
}

export interface ListedModels {
  readonly models: readonly ListedModel[]
  readonly next?: string
}

/** A part of the models that the caller may see. One that cannot be read must not cost the caller the list of all others. */
export async function listedModels(access: Access, part: Omit<ListPart, 'manifests'>): Promise<ListedModels> {
  const { entries, ...rest } = await visibleModels(access, { ...part, manifests: true })
  return { models: entries.filter(isListed), ...rest }
}

/** One model as a list has it. */
export function listedModel(alias: Alias, manifest: Manifest): ListedModel {
  const entry = entryOf({ ...alias, live: [{ version: manifest.version, weight: 1 }] }, manifest)
  if (isListed(entry)) return entry
  throw new RangeError('An entry of a manifest has its version.')
}

function isListed(entry: ModelEntry): entry is ListedModel {
  return entry.main !== undefined
}

/** Names of models end within, and a cursor may have "~" behind the beginning of one. */
const CURSOR = /^[a-z0-9][a-z0-9._-]{0,63}~?$/

/**
 * The part of a list that a query asks for: `limit`, `after` and `prefix`.
 * @param usual entries where no number is said
 * @throws invalid_request
 */
export function partOf(c: Context<AppEnv>, { modelsPerList: most }: Limits, usual = most) {
  const { after, limit, prefix } = c.req.query()
  return {
    limit: limit === undefined ? usual : limitOf(limit, most),
    ...(after !== undefined && { after: nameIn(after, 'after', CURSOR) }),
    ...(prefix !== undefined && prefix !== '' && { prefix: nameIn(prefix, 'prefix', MODEL_NAME) }),
  }
}

/** @throws invalid_request */
export function limitOf(given: string, most: number, field = 'limit'): number {
  const limit = /^\d{1,6}$/.test(given) ? Number(given) : 0
  if (limit >= 1 && limit <= most) return limit
  throw new VergeError('invalid_request', `The parameter "${field}" must be a whole number from 1 to ${most}.`, {
    details: { field },
  })
}

/** @throws invalid_request */
export function nameIn(given: string, field: string, names = CURSOR): string {
  if (names.test(given)) return given
  throw new VergeError('invalid_request', `The parameter "${field}" must be the name of a model, or begin as one.`, {
    details: { field },
  })
}

/** Says where a list goes on that has no field for it (RFC 8288). */
export function linkNext(c: Context<AppEnv>, { next }: Pick<ModelPage, 'next'>): void {
  if (next === undefined) return
  const url = new URL(c.req.url)
  url.searchParams.set('after', next)
  c.header('link', `<${url.pathname}${url.search}>; rel="next"`)
}
