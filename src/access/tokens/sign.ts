import { CompactSign } from 'jose'
import { encodedClaims, TOKEN_TYPE, type TokenClaims, WORKER_KID } from './claims.ts'

/** What a token begins with: a JSON Web Token of another kind is none. */
const TOKEN_PREFIX = 'verge_bt_'

/** The text of a token that the Worker signs itself. @param key of `tokenKey` */
export async function signToken(claims: TokenClaims, key: Uint8Array): Promise<string> {
  const signed = await new CompactSign(encodedClaims(claims))
    .setProtectedHeader({ alg: 'HS256', typ: TOKEN_TYPE, kid: WORKER_KID })
    .sign(key)
  return TOKEN_PREFIX + signed
}
