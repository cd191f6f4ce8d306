import type { ProtocolName } from '../protocols/names.ts'

/** Where an address answers at the root, behind which no prefix says which protocol is meant. */
export type AtRoot =
  /** No other protocol has it. */
  | 'always'
  /** Where `DEFAULT_PROTOCOL` names this protocol; `DEFAULT_MODEL` too, if the path names a model behind the prefix. */
  | 'default-protocol'
  /** Where `DEFAULT_MODEL` says which model is meant: at the root the path names none. */
  | 'default-model'
  | 'never'

/** One address of a protocol. */
export interface Address {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE'
  /** What follows the prefix, with `{name}` for one segment and `{name...}` for the rest of the path. */
  readonly path: string
  readonly root: AtRoot
  /** What it does, as documents say it. */
  readonly what: string
  readonly state: 'works' | 'not-yet'
  /** What to do until it works, as one sentence of the refusal. */
  readonly instead?: string
  /** The protocol whose shape its failures have, where it is another one. */
  readonly errors?: ProtocolName
}

/** An address that works. */
export function works(
  method: Address['method'],
  path: string,
  root: AtRoot,
  what: string,
  errors?: ProtocolName,
): Address {
  return { method, path, root, what, state: 'works', ...(errors && { errors }) }
}

/** An address that comes later: it answers `not_implemented`, in the protocol's own shape. */
export function notYet(method: Address['method'], path: string, root: AtRoot, what: string, instead?: string): Address {
  return { method, path, root, what, state: 'not-yet', ...(instead && { instead }) }
}
