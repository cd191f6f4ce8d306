import { aliasKey } from '../../catalog/keys.ts'
import { aliasJson } from '../../catalog/parse.ts'
import type { ReleaseKey } from '../../catalog/signing/public-keys.ts'
import {
  type AliasSignature,
  checkSignature,
  describeFault,
  isExpired,
  type SignatureFault,
  signatureSchema,
} from '../../catalog/signing/signature.ts'
import { LIMITS } from '../../core/limits.ts'
import { readAtMost } from '../../weights/body.ts'
import type { Store } from '../../weights/store.ts'
import { minuteOf } from '../terminal/format.ts'

/** What a Worker that accepts these keys would say of a model's release. */
export interface SignatureState {
  /** `unchecked`: it is signed, and no key is configured to check it with. */
  readonly state: 'accepted' | 'unchecked' | SignatureFault
  readonly signature?: AliasSignature
}

/**
 * Checks the signature of a model's alias in the truth.
 * @param now milliseconds since 1970
 * @throws alias_invalid, store_unavailable
 */
export async function signatureState(
  truth: Store,
  model: string,
  keys: readonly ReleaseKey[],
  now: number,
  signal?: AbortSignal,
): Promise<SignatureState> {
  const found = await truth.get(aliasKey(model), { signal })
  const bytes = (found && (await readAtMost(found.body, LIMITS.aliasBytes, signal))) ?? new Uint8Array(0)
  const value = aliasJson(bytes, model) as { readonly signature?: unknown }
  if (keys.length === 0) {
    const parsed = signatureSchema.safeParse(value.signature)
    return parsed.success ? { state: 'unchecked', signature: parsed.data } : { state: 'unsigned' }
  }
  const { fault, signature } = await checkSignature(bytes, value, keys)
  const known = signature !== undefined && { signature }
  if (fault !== undefined) return { state: fault, ...known }
  return { state: isExpired(signature, now) ? 'expired' : 'accepted', ...known }
}

/** By whom and until when, in a few words. */
export function describeState({ state, signature }: SignatureState): string {
  if (signature === undefined) return state === 'unsigned' ? 'not signed' : describeFault('wrong')
  const end = signature.expires === undefined ? '' : `, until ${minuteOf(signature.expires * 1000)} UTC`
  const by = `by key ${signature.key}${end}`
  switch (state) {
    case 'accepted':
      return by
    case 'unchecked':
      return `${by} (not checked, because RELEASE_KEYS is not set)`
    case 'unsigned':
      return 'not signed'
    case 'unknown_key':
    case 'wrong':
    case 'expired':
      return `${by}: not accepted, because it ${describeFault(state)}`
  }
}
