import { authorize, type Caller, type GrantedCaller, mayLookUp, type Resource } from '../access/authorize.ts'
import type { Alias } from '../catalog/alias.ts'
import type { ListQuery, ListScope, ModelPage } from '../catalog/index/query.ts'
import { MODEL_NAME } from '../catalog/manifest.ts'
import { VergeError } from '../core/errors.ts'
import type { RunLedger } from '../serving/ledger.ts'
import type { Models, ResolvedModel } from '../serving/serving.ts'
import type { CallContext } from './call.ts'
import type { RequestFacts } from './metered.ts'

/** Who asks, through what, on whose time. */
export interface Access {
  readonly serving: Models
  readonly caller: Caller
  readonly context: CallContext
  /** By which way the request came, in a word of the code's, where it is not by the route: `rpc`, `stream`. */
  readonly via?: string
  /** Absent where nothing is limited. */
  readonly facts?: RequestFacts
}

/**
 * A model's alias, if the caller may run it.
 * @throws forbidden, and what `seenModel` throws
 */
export async function visibleModel(access: Access, name: string): Promise<Alias> {
  const alias = await seenModel(access, name)
  if (authorize(access.caller, resourceOf(alias), 'infer')) return alias
  throw new VergeError(
    'forbidden',
    `Your ${credentialOf(access.caller)} does not allow running model "${alias.model}".`,
    {
      details: { model: alias.model, action: 'infer' },
    },
  )
}

/** The credential of a caller with a grant, in words. */
export function credentialOf(caller: Caller): string {
  if (caller.kind !== 'granted' || caller.by === 'key') return 'key'
  return caller.by === 'token' ? 'token' : 'sign-in'
}

/**
 * A model's alias, if the caller may know of it. To a caller who may not, a private model is answered for exactly as one
 * that does not exist: 404, or 401 if the caller sent a credential that is not known here.
 * @throws model_not_found, unauthorized, alias_invalid, store_unavailable
 */
export async function seenModel({ serving, caller, context }: Access, name: string): Promise<Alias> {
  // A name that no model can have never reaches a store.
  const alias = MODEL_NAME.test(name) ? await serving.alias(name, context) : null
  if (alias !== null && mayLookUp(caller, resourceOf(alias))) return alias
  const shown = name.slice(0, 64)
  throw (
    refusedCredential(caller, `there is no public model "${shown}"`) ??
    new VergeError(
      'model_not_found',
      `There is no model "${shown}" that you may use. GET /v1/models lists the models; private models need a key.`,
    )
  )
}

/**
 * The version asked for, or one of those that are live. A version that is not live is answered for as one that does not
 * exist, except to the operator and to whoever may run unreleased versions. What was chosen is noted for `verge-model`.
 * @throws version_not_found, unauthorized, manifest_invalid, weights_unavailable
 */
export async function resolveVersion(
  { serving, caller, context }: Access,
  alias: Alias,
  version: string | undefined,
): Promise<ResolvedModel> {
  const known = visibleVersions(caller, alias)
  if (version !== undefined && !known.includes(version)) {
    const shown = version.slice(0, 32)
    throw (
      refusedCredential(caller, `model "${alias.model}" has no live version "${shown}"`) ??
      new VergeError(
        'version_not_found',
        `Model "${alias.model}" has no version "${shown}" that you may use. GET /v2/models/${alias.model} lists its versions.`,
        { details: { model: alias.model, versions: known.slice(0, MOST_LISTED) } },
      )
    )
  }
  const model = await serving.resolve(alias, version, context)
  return noted(context.ledger, model)
}

/** Says which version answers. */
export function noted(ledger: RunLedger | undefined, model: ResolvedModel): ResolvedModel {
  if (ledger !== undefined) {
    ledger.model = `${model.manifest.model}@${model.manifest.version}`
    ledger.generation = model.alias.generation
  }
  return model
}

/** A model by its name, as far as the caller may run it. @throws what `visibleModel` and `resolveVersion` throw */
export async function findModel(access: Access, name: string, version: string | undefined): Promise<ResolvedModel> {
  return resolveVersion(access, await visibleModel(access, name), version)
}

/** Versions that an error names. */
const MOST_LISTED = 20

/** The versions of a model that a caller may ask for by name: all for who may run unreleased ones, else those that are live. */
export function visibleVersions(caller: Caller, alias: Alias): readonly string[] {
  return visibleAmong(Object.keys(alias.versions), caller, alias)
}

/** The same of some of its versions. */
export function visibleAmong(
  versions: readonly string[],
  caller: Caller,
  { live, ...model }: Pick<Alias, 'model' | 'visibility' | 'live'>,
): readonly string[] {
  if (authorize(caller, resourceOf(model), 'unreleased')) return versions
  return versions.filter((version) => live.some((each) => each.version === version))
}

/** The refusal of a caller whose credential is not known, where being anonymous is not enough; undefined for others. */
export function refusedCredential(caller: Caller, why: string): VergeError | undefined {
  if (caller.kind !== 'anonymous' || caller.unaccepted === undefined) return undefined
  if (caller.unaccepted === 'name') {
    return new VergeError(
      'unauthorized',
      `The binding names an unknown caller, and ${why}. The operator of Verge must add the name to RPC_CALLERS.`,
    )
  }
  const open = 'GET /v1/models lists the public models, which need no credential.'
  return new VergeError(
    'unauthorized',
    caller.why === undefined
      ? `The credential is invalid, and ${why}. Send a key of this Verge's, over HTTP as "Authorization: Bearer <key>". ${open}`
      : `${caller.why} Without a valid one, ${why}. ${open}`,
    { ...(caller.reason !== undefined && { details: { reason: caller.reason } }) },
  )
}

export function resourceOf({ model, visibility }: Pick<Alias, 'model' | 'visibility'>): Resource {
  return { name: model, visibility }
}

/** The part of a list that is asked for. */
export type ListPart = Omit<ListQuery, 'scope'>

/** A part of the list of models that the caller may know of. @throws store_unavailable */
export async function visibleModels({ serving, caller, context }: Access, part: ListPart): Promise<ModelPage> {
  // It reads the catalogue itself.
  if (caller.kind === 'origin') return { entries: [] }
  return serving.list({ ...part, scope: scopeOf(caller) }, context)
}

function scopeOf(caller: Caller): ListScope {
  const sees: ListScope['sees'] = (model) => mayLookUp(caller, resourceOf(model))
  if (caller.kind === 'anonymous') return { tree: 'public', sees }
  if (caller.kind !== 'granted') return { tree: 'all', sees }
  const { names, open } = namesFor(caller)
  if (names.includes('*')) return { tree: 'all', sees }
  return open && names.length === 0 ? { tree: 'public', sees } : { tree: 'all', some: { names, open }, sees }
}

/** Which models a grant may show; `open`: the public ones, too. A token for all models shows those of the key that minted it. */
function namesFor({ by, grant, parent }: GrantedCaller): { readonly names: readonly string[]; readonly open: boolean } {
  if (by !== 'token') return { names: grant.models, open: true }
  if (parent === undefined || !grant.models.includes('*')) return { names: grant.models, open: false }
  return { names: parent.grant.models, open: true }
}

/**
 * A failure as a caller may see it. Why an engine could not load a model is for its operator, in the engine's own words:
 * they name nodes and types of a model that may be nobody else's business, and tell others nothing that they can act on.
 */
export function shownTo(caller: Caller | undefined, error: VergeError): VergeError {
  if (error.code !== 'model_invalid' || caller?.kind === 'operator') return error
  return new VergeError(
    'model_invalid',
    'The model could not be loaded. Its operator must push it again; the log has the reason under this request id.',
    { cause: error },
  )
}
