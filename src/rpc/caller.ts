import type { Caller } from '../access/authorize.ts'
import type { CallerContext, Credentials } from '../access/credentials.ts'

export interface KnownCallers {
  /** Names that a binding's `props.caller` may have. */
  readonly callers: ReadonlySet<string>
  /** Absent: no token is accepted. */
  readonly credentials?: Credentials
}

/**
 * Who calls over a binding. Closed by default: calls without a token and without trusted `props`, and calls with an unknown
 * token or name, may run public models; private models are refused with `unauthorized`.
 * @param props the binding's, set at the caller's deployment; the caller's code cannot change them
 * @throws what `Credentials` throws
 */
export async function callerOf(
  props: unknown,
  token: string | undefined,
  { callers, credentials }: KnownCallers,
  context: CallerContext,
): Promise<Caller> {
  if (token !== undefined) {
    // A binding brings no address: wrong tokens of all Workers are counted together.
    return credentials?.callerOf(token, {}, context) ?? { kind: 'anonymous', unaccepted: 'key' }
  }
  const name = typeof props === 'object' && props !== null && 'caller' in props ? props.caller : undefined
  if (name === undefined) return { kind: 'anonymous' }
  if (typeof name === 'string' && callers.has(name)) return { kind: 'service', name }
  return { kind: 'anonymous', unaccepted: 'name' }
}
