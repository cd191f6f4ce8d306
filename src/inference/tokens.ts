import { authorize, type GrantedCaller } from '../access/authorize.ts'
import { ISSUER, parseClaims, type TokenAction, type TokenClaims } from '../access/tokens/claims.ts'
import { pageOrigin } from '../access/tokens/page-origin.ts'
import { signToken } from '../access/tokens/sign.ts'
import { VergeError } from '../core/errors.ts'
import { type Access, refusedCredential, resourceOf, visibleModel } from './access.ts'

/** What a token is to be for. */
export interface TokenOrder {
  readonly origins: readonly string[]
  readonly models: readonly string[]
  readonly actions: readonly TokenAction[]
  readonly seconds: number
  /** As keys' records have them. */
  readonly limits: Readonly<Record<string, unknown>>
}

export interface Minting {
  /** What tokens are signed with. Absent: none are minted. */
  readonly key: Uint8Array | undefined
  /** Milliseconds since 1970. */
  readonly now: number
  /** What nobody can guess, and no other token has. */
  readonly id: string
  /** Pages that may read answers; `*`: all. */
  readonly pages: readonly string[]
}

/**
 * A token for a page, with no more rights than the key that asks for it.
 * @throws unauthorized, forbidden, tokens_unavailable, invalid_request, model_not_found
 */
export async function mintToken(
  access: Access,
  order: TokenOrder,
  { id, key, now, pages }: Minting,
): Promise<{ readonly text: string; readonly claims: TokenClaims }> {
  const { grant, principal } = minter(access)
  if (key === undefined) {
    throw new VergeError(
      'tokens_unavailable',
      'This server has no secret to sign browser tokens with. The operator of the Worker must set the secret TOKEN_SECRET, or VERGE_API_KEY, from which it is derived.',
    )
  }
  const origins = [...new Set(order.origins.map((origin) => allowedPage(origin, pages, grant.origins)))]
  for (const name of new Set(order.models)) await assertMay(access, name, order.actions)
  const iat = Math.floor(now / 1000)
  const claims = parseClaims(
    {
      iss: ISSUER,
      sub: principal.slice(principal.indexOf(':') + 1),
      jti: id,
      iat,
      exp: iat + order.seconds,
      origins,
      models: [...new Set(order.models)],
      actions: [...new Set(order.actions)],
      ...(Object.keys(order.limits).length > 0 && { limits: order.limits }),
    },
    'The request',
  )
  return { claims, text: await signToken(claims, key) }
}

/** The key that asks, if it may mint: to be asked before anything of a request is read. @throws unauthorized, forbidden */
export function minter({ caller }: Pick<Access, 'caller'>): GrantedCaller {
  if (caller.kind === 'granted' && caller.by === 'key' && authorize(caller, null, 'mint')) return caller
  if (caller.kind === 'anonymous') {
    throw (
      refusedCredential(caller, 'browser tokens are minted by keys alone') ??
      new VergeError(
        'unauthorized',
        'Browser tokens are minted by keys. Send a key that may, as "Authorization: Bearer <key>".',
      )
    )
  }
  if (caller.kind === 'operator') {
    throw new VergeError(
      'forbidden',
      'The operator\'s key mints no tokens: a token belongs to a key, and ends when the key is revoked. Create a key with the action "mint", and mint with it.',
    )
  }
  const isToken = caller.kind === 'granted' && caller.by === 'token'
  throw new VergeError(
    'forbidden',
    isToken
      ? 'A browser token cannot mint tokens. The backend mints them, with its key.'
      : 'This caller may not mint tokens. The operator must create a key with the action "mint".',
  )
}

/** A page as browsers name it. @throws invalid_request where the token would be of no use there, forbidden where the key has other pages */
function allowedPage(text: string, pages: readonly string[], own: readonly string[] | undefined): string {
  const details = { field: 'origins' }
  const origin = pageOrigin(text)
  if (origin === undefined) {
    throw new VergeError(
      'invalid_request',
      `The request, field "origins": "${text.slice(0, MOST_SHOWN)}" is no page's origin. Write it as "https://app.example.com", without a path.`,
      { details },
    )
  }
  if (!pages.includes('*') && !pages.includes(origin)) {
    throw new VergeError(
      'invalid_request',
      `CORS_ALLOW does not let pages of "${origin}" call this Worker, so that no browser could use the token. The operator must add the origin to CORS_ALLOW.`,
      { details },
    )
  }
  if (own !== undefined && !own.includes(origin)) {
    throw new VergeError('forbidden', `The key is not for pages of "${origin}", and neither can its tokens be.`, {
      details,
    })
  }
  return origin
}

const MOST_SHOWN = 100

/** @throws model_not_found, forbidden */
async function assertMay(access: Access, name: string, actions: readonly TokenAction[]): Promise<void> {
  const alias = await visibleModel(access, name)
  for (const action of actions) {
    // Whether a version may be downloaded is asked when it is: another may be live by then.
    if (authorize(access.caller, { ...resourceOf(alias), downloadable: true }, action)) continue
    throw new VergeError(
      'forbidden',
      `The key may not give the action "${action}" for model "${alias.model}". The operator must grant it to the key first.`,
      { details: { model: alias.model, action } },
    )
  }
}
