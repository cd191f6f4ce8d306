import { type Grant, namesModel } from '../../access/grant.ts'
import type { Store } from '../../weights/store.ts'
import { printable } from '../terminal/format.ts'
import { stateOf } from './describe.ts'
import { listKeys } from './inventory.ts'

/** Longer lists are cut. */
const MOST_NAMED = 10

/**
 * The valid keys that may use a model, for a person; undefined if there are none.
 * @param exactly only those that name it in full, and not by a prefix
 * @throws store_unavailable, the signal's reason
 */
export async function keysNaming(
  truth: Store,
  model: string,
  { exactly = false, signal }: { readonly exactly?: boolean; readonly signal: AbortSignal },
): Promise<string | undefined> {
  const now = Date.now()
  const names = ({ models, ...grant }: Grant): boolean =>
    exactly ? models.includes(model) : namesModel({ models, ...grant }, model)
  const { keys } = await listKeys(truth, signal)
  const found = keys.filter((record) => stateOf(record, now) === 'valid' && names(record.grant))
  if (found.length === 0) return undefined
  const rest = found.length - MOST_NAMED
  const named = found.slice(0, MOST_NAMED).map(({ id, name }) => `${id} (${printable(name)})`)
  return `${named.join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`
}
