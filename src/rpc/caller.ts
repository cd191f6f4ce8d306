import type { Caller } from '../access/authorize.ts'
import { callerByKey } from '../access/credentials.ts'

export interface KnownCallers {
  /** Names that a binding's `props.caller` may have. */
  readonly callers: ReadonlySet<string>
  readonly apiKeyDigest?: Uint8Array | undefined
}

/**
 * Who calls over a binding. Closed by default: calls without a token and without trusted `props`, and calls with an unknown
 * token or name, may run public models; private models are refused with `unauthorized`.
 * @param props the binding's, set at the caller's deployment; the caller's code cannot change them
 */
export async function callerOf(
  props: unknown,
  token: string | undefined,
  { apiKeyDigest, callers }: KnownCallers,
): Promise<Caller> {
  if (token !== undefined) return callerByKey(token, apiKeyDigest)
  const name = typeof props === 'object' && props !== null && 'caller' in props ? props.caller : undefined
  if (name === undefined) return { kind: 'anonymous' }
  if (typeof name === 'string' && callers.has(name)) return { kind: 'service', name }
  return { kind: 'anonymous', unaccepted: 'name' }
}
