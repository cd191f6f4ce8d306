import type { Visibility } from '../catalog/alias.ts'
import { type Grant, type GrantedPlace, grantFor, namesModel } from './grant.ts'

/** Who is calling, as far as the request proves it. */
export type Caller =
  /**
   * `unaccepted`: a key was sent, or a binding names a caller, that is not known here. It gives no rights and takes away
   * none. `why`: sentences about the key, for the answer that refuses it, and `reason`: the same for programs.
   */
  | {
      readonly kind: 'anonymous'
      readonly unaccepted?: 'key' | 'name'
      readonly why?: string
      readonly reason?: string
    }
  | { readonly kind: 'operator' }
  | GrantedCaller
  /** Another Worker of the account, by the name that its binding has and that the operator let in. */
  | { readonly kind: 'service'; readonly name: string }
  /** An origin of the operator's, which needs weights and catalogue. */
  | { readonly kind: 'origin'; readonly name: string }
  /** The Worker, for a caller that it has authorized; `name` is that caller's. */
  | { readonly kind: 'relayed'; readonly name: string }

/** A caller who may do what a grant says. */
export interface GrantedCaller {
  readonly kind: 'granted'
  readonly by: 'key' | 'sign-in' | 'token'
  /** Who is charged: `key:<id>`, `user:<issuer>:<digest of the subject>`, `token:<id>`. */
  readonly principal: string
  /** For people: what the key was called, who signed in. */
  readonly name: string
  readonly grant: Grant
  /** When what it brought ends, in seconds since 1970: what lasts longer than a request ends then. */
  readonly expiresAt?: number
  /** Of a key: the salt of the secret that was sent, which tells its secrets apart. */
  readonly salt?: string
  /** The key that minted a token: it is charged, too, and its own grant bounds the token's. `mints`: it has to allow that still. */
  readonly parent?: { readonly principal: string; readonly grant: Grant; readonly mints?: true }
}

/**
 * `infer`: run a live version of a model and read its metadata. `unreleased`: the same for versions that are not live.
 * `browser`: receive what a browser needs to run a version. `download`: read the weights of every model, a separate
 * permission. `mint`: make tokens for browsers.
 */
export type Action = 'infer' | 'unreleased' | 'browser' | 'download' | 'explain' | 'metrics' | 'mint' | 'admin'

/** The model acted on; null for what concerns no single model. */
export interface Resource {
  readonly name: string
  readonly visibility: Visibility
  /** Of the version that is asked for: whether its manifest lets browsers download it. Left out: no. */
  readonly downloadable?: boolean | undefined
}

/**
 * The single access decision for every route, list, socket and call. Closed by default: an operator may do everything;
 * a Worker admitted by the operator may run the live versions of every model; for forwarded requests the Worker has
 * already decided, including the version; an origin may read the models that it serves; anyone may run the live
 * versions of a public model; who has a grant may do what it says. Browsers receive a version that is downloadable, from
 * the Worker alone, for callers who may run it; one that is not, nobody's browser receives. Everything else is refused.
 */
export function authorize(caller: Caller, model: Resource | null, action: Action): boolean {
  if (action === 'browser' && (model?.downloadable !== true || caller.kind === 'relayed')) return false
  if (caller.kind === 'granted') return isGranted(caller, model, action)
  // who may run a version may have it run in a browser
  const needed = action === 'browser' ? 'infer' : action
  switch (caller.kind) {
    case 'operator':
      return true
    case 'service':
      return needed === 'infer' && model !== null
    case 'relayed':
      return (needed === 'infer' || needed === 'unreleased') && model !== null
    case 'origin':
      return needed === 'download'
    case 'anonymous':
      return needed === 'infer' && model !== null && model.visibility === 'public'
  }
}

/**
 * Whether a caller may know that a model exists. To others it looks like a model that does not exist; to those who see it
 * and may not do what they ask for, the refusal says so.
 */
export function mayLookUp(caller: Caller, model: Resource): boolean {
  if (caller.kind !== 'granted') return authorize(caller, model, 'infer')
  const { by, grant, parent } = caller
  const open = model.visibility === 'public'
  if (by !== 'token') return open || namesModel(grant, model.name)
  return namesModel(grant, model.name) && (parent === undefined || open || namesModel(parent.grant, model.name))
}

/**
 * Keys and people who signed in may also run public models, as anyone may; a token may do what it names and nothing else,
 * as far as the key that minted it still may.
 */
function isGranted(caller: GrantedCaller, model: Resource | null, action: Action): boolean {
  const { by, grant, parent } = caller
  if (by !== 'token') return isGrantedBeside(grant, model, action)
  return (
    action !== 'mint' &&
    holds(grant, model, action) &&
    (parent === undefined || isGrantedBeside(parent.grant, model, action))
  )
}

/** What a grant gives to those who also have what anyone has. Where a public model may run, its grant still says. */
function isGrantedBeside(grant: Grant, model: Resource | null, action: Action): boolean {
  const open = model?.visibility === 'public'
  if (open && action === 'infer') return true
  return holds(open && action === 'browser' ? { ...grant, models: ['*'] } : grant, model, action)
}

/** What a grant by itself says. */
function holds(grant: Grant, model: Resource | null, action: Action): boolean {
  const named = model !== null && namesModel(grant, model.name)
  switch (action) {
    case 'infer':
    case 'unreleased':
    case 'explain':
      return named && grant.actions.includes(action)
    case 'browser':
      return named && grant.actions.includes(action) && grant.places.includes('browser')
    case 'metrics':
      return (model === null || named) && grant.actions.includes(action)
    case 'mint':
      return model === null && grant.actions.includes(action)
    case 'download':
    case 'admin':
      return false
  }
}

/** Whether a caller's requests may be computed at a place. A token's may where its key's may, too. */
export function mayCompute(caller: Caller, place: GrantedPlace): boolean {
  if (caller.kind !== 'granted') return true
  const { grant, parent } = caller
  return grant.places.includes(place) && (parent === undefined || parent.grant.places.includes(place))
}

/** A caller with what matters to one model, in few bytes: what lasts longer than a request keeps it. */
export function callerFor(caller: Caller, model: string): Caller {
  if (caller.kind !== 'granted') return caller
  const { grant, parent } = caller
  return {
    ...caller,
    grant: grantFor(grant, model),
    ...(parent && { parent: { ...parent, grant: grantFor(parent.grant, model) } }),
  }
}

/** A name that tells callers apart; empty for all of whom nothing is known. */
export function callerName(caller: Caller): string {
  switch (caller.kind) {
    case 'operator':
      return 'operator'
    case 'service':
      return `service:${caller.name}`
    case 'origin':
      return `origin:${caller.name}`
    case 'relayed':
      return caller.name
    case 'granted':
      return caller.principal
    case 'anonymous':
      return ''
  }
}

/** How the log names a caller. A browser token is named by its key, as in usage; a relayed caller was logged before. */
export function callerInLog(caller: Caller): string {
  switch (caller.kind) {
    case 'granted':
      return caller.parent?.principal ?? caller.principal
    case 'service':
      return callerName(caller)
    default:
      return caller.kind
  }
}
