import type { Issuer } from '../../access/sign-in/issuers.ts'
import { isOf, parseKeySet } from '../../access/sign-in/key-set.ts'
import { printable } from '../terminal/format.ts'
import { type Check, fail, ok } from './check.ts'
import { reasonOf } from './protocol.ts'

const AREA = 'sign-in'

/**
 * Whether each issuer of SIGN_IN answers with keys for the tokens that are accepted: asked from this machine, as the Worker asks.
 * @param fetchKeys as `fetchKeySet`
 */
export async function checkSignIn(
  issuers: readonly Issuer[],
  fetchKeys: (url: string) => Promise<string>,
): Promise<Check[]> {
  const checks: Check[] = []
  for (const issuer of issuers) checks.push(await checkIssuer(issuer, fetchKeys))
  return checks
}

async function checkIssuer(
  { algorithms, jwks, name }: Issuer,
  fetchKeys: (url: string) => Promise<string>,
): Promise<Check> {
  const refused = `no one can sign in by "${name}"`
  let text: string
  try {
    text = await fetchKeys(jwks)
  } catch (error) {
    const finding = `${refused} once the known keys are old: ${jwks} gives no key set (${printable(reasonOf(error))})`
    return fail(AREA, finding, 'Check "issuer" and "jwks" in SIGN_IN, and whether the issuer answers from outside.')
  }
  const keys = parseKeySet(text)
  if (keys === undefined) {
    const finding = `${refused}: the answer of ${jwks} has no public key for signatures`
    return fail(AREA, finding, 'Set "jwks" in SIGN_IN to the address of the issuer\'s JSON Web Key Set.')
  }
  const accepted = algorithms.filter((algorithm) => keys.some((key) => isOf(key, algorithm)))
  if (accepted.length === 0) {
    const kinds = [...new Set(keys.map(({ alg, crv, kty }) => alg ?? crv ?? kty))].map(printable).join(', ')
    const finding = `${refused}: its keys are ${kinds}, and SIGN_IN accepts ${algorithms.join(', ')}`
    return fail(AREA, finding, `Add the algorithm of its tokens to "algorithms" of "${name}" in SIGN_IN.`)
  }
  const count = `${keys.length} key${keys.length === 1 ? '' : 's'}`
  return ok(AREA, `${name}: ${count} for ${accepted.join(', ')} at ${jwks}`)
}
