import { systemBytes, systemClock } from './runtime.ts'

/** A signing key as `verge keys create --signing FILE` writes it: a private JSON Web Key of Ed25519. */
export interface TokenKey {
  readonly kty: 'OKP'
  readonly crv: 'Ed25519'
  /** The id of the key whose tokens it signs. */
  readonly kid: string
  readonly x: string
  readonly d: string
}

/** How much of each, for the whole life of the token. */
export interface TokenBudget {
  readonly requests?: number | undefined
  readonly tokens?: number | undefined
  readonly units?: number | undefined
  readonly usd?: number | undefined
}

export interface MintTokenOptions {
  /** The text of the key's file, or its parsed JSON. Keep it where the backend has its other secrets. */
  readonly key: string | TokenKey
  /** Pages that may use the token, by their origins: `https://app.example.com`. */
  readonly origins: readonly string[]
  /** Models that the token is for, by their exact names. */
  readonly models: readonly string[]
  /** `infer`: run them on the server; `browser`: download them into the browser. Default: `infer`. */
  readonly actions?: readonly ('infer' | 'browser')[] | undefined
  /** Minutes until the token ends, at most 60. Default: 15. */
  readonly minutes?: number | undefined
  /** What the token may use in its life. The key's own budget holds, too. */
  readonly budget?: TokenBudget | undefined
  /** Such as `10/1m`: ten requests in a minute. */
  readonly rate?: string | undefined
  /** Tokens that one request may have written. */
  readonly maxTokens?: number | undefined
  /** For tests: milliseconds since 1970. */
  readonly now?: (() => number) | undefined
}

/** What `POST /v1/tokens` answers, too. */
export interface MintedToken {
  readonly token: string
  /** By ISO 8601. */
  readonly expires_at: string
}

const PREFIX = 'verge_bt_'
const MINUTES = 15
const MOST_MINUTES = 60

/**
 * Makes a token for a page, without a request and without a dependency: Web Crypto signs it. Verge refuses what the key itself may not do: a token never gives more than its
 * key, and ends when the key is revoked.
 * @throws TypeError if the key or an option is not usable
 */
export async function mintToken(options: MintTokenOptions): Promise<MintedToken> {
  const { actions = ['infer'], budget, maxTokens, minutes = MINUTES, models, origins, rate } = options
  if (origins.length === 0 || models.length === 0) {
    throw new TypeError('A token needs at least one origin and at least one model.')
  }
  if (!Number.isFinite(minutes) || minutes <= 0 || minutes > MOST_MINUTES) {
    throw new TypeError(`A token's "minutes" must be above 0 and at most ${MOST_MINUTES}.`)
  }
  const { kid, signing } = await importKey(options.key)
  const iat = Math.floor((options.now ?? systemClock.now)() / 1000)
  const exp = iat + Math.max(1, Math.round(minutes * 60))
  const limits = {
    ...(rate !== undefined && { rate }),
    ...(budget !== undefined && { budgets: { total: budget } }),
    ...(maxTokens !== undefined && { maxTokens }),
  }
  const claims = {
    iss: 'verge',
    sub: kid,
    jti: base64Url(systemBytes(16)),
    iat,
    exp,
    origins: origins.map(originOf),
    models,
    actions,
    ...(Object.keys(limits).length > 0 && { limits }),
  }
  const signed = `${json({ alg: 'EdDSA', typ: 'verge-token+jwt', kid })}.${json(claims)}`
  const signature = await crypto.subtle.sign('Ed25519', signing, new TextEncoder().encode(signed))
  return {
    token: `${PREFIX}${signed}.${base64Url(new Uint8Array(signature))}`,
    expires_at: new Date(exp * 1000).toISOString(),
  }
}

// The return type is inferred: Node, browsers and Workers name it differently.
async function importKey(key: string | TokenKey) {
  try {
    const { crv, d, kid, kty, x } = (typeof key === 'string' ? JSON.parse(key) : key) as TokenKey
    if (typeof kid !== 'string') throw new TypeError('The key has no "kid".')
    return { kid, signing: await crypto.subtle.importKey('jwk', { crv, d, kty, x }, 'Ed25519', false, ['sign']) }
  } catch (cause) {
    throw new TypeError(
      'The signing key is not usable. "key" must be the content of the file that `verge keys create --signing FILE` wrote.',
      { cause },
    )
  }
}

const PAGE_ORIGIN = /^[a-z][a-z0-9+.-]*:\/\/[^\s/?#@*]+$/i

/** As browsers send it: in lower case, without a default port. */
function originOf(origin: string): string {
  if (PAGE_ORIGIN.test(origin)) {
    if (!/^https?:/i.test(origin)) return origin
    if (URL.canParse(origin)) return new URL(origin).origin
  }
  throw new TypeError(`A token's origins must be like "https://app.example.com", not ${JSON.stringify(origin)}.`)
}

function json(value: unknown): string {
  return base64Url(new TextEncoder().encode(JSON.stringify(value)))
}

function base64Url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replace(/\+/g, '-')
    .replace(/\//g, '_')
    .replace(/=+$/, '')
}
