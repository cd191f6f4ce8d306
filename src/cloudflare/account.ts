import { UsageError } from '../cli/terminal/command-line.ts'
import { isLoopback } from '../core/loopback.ts'

/** Whom to call and as whom. */
export interface Account {
  readonly id: string
  /** A credential: never printed. */
  readonly token: string
  readonly api: URL
  readonly r2: URL
}

const API = 'https://api.cloudflare.com/client/v4'

/** Permissions of a token for `verge setup`. */
export const PERMISSIONS = ['Workers Scripts: Edit', 'Workers KV Storage: Edit', 'Workers R2 Storage: Edit']

/** Whether the environment names an account at all. */
export function hasAccount(env: NodeJS.ProcessEnv): boolean {
  return Boolean(env.CLOUDFLARE_API_TOKEN) && Boolean(env.CLOUDFLARE_ACCOUNT_ID)
}

/**
 * Reads the account from the environment, by the names that wrangler uses. `CLOUDFLARE_API_BASE_URL` and `R2_ENDPOINT`
 * (a jurisdiction's endpoint, such as the European Union's) may be set as well.
 * @throws UsageError that names missing settings
 */
export function readAccount(env: NodeJS.ProcessEnv): Account {
  const token = env.CLOUDFLARE_API_TOKEN ?? ''
  const id = env.CLOUDFLARE_ACCOUNT_ID ?? ''
  const missing = [...(token === '' ? ['CLOUDFLARE_API_TOKEN'] : []), ...(id === '' ? ['CLOUDFLARE_ACCOUNT_ID'] : [])]
  if (missing.length > 0) {
    throw new UsageError(
      `${missing.join(' and ')} must be set in the environment.\n` +
        'Create a token at https://dash.cloudflare.com/profile/api-tokens with these permissions on the account:\n' +
        `${PERMISSIONS.map((permission) => `  ${permission}`).join('\n')}\n` +
        'The account id is on the overview page of Workers & Pages. See docs/deploy.md for each step.',
    )
  }
  // Both travel in a header or a path.
  if (!/^[\x21-\x7e]+$/.test(token))
    throw new UsageError('CLOUDFLARE_API_TOKEN contains a character that is not allowed in a token. Copy it again.')
  if (!/^[0-9a-f]{32}$/.test(id)) throw new UsageError('CLOUDFLARE_ACCOUNT_ID must be 32 hexadecimal digits.')
  return {
    id,
    token,
    api: baseUrl('CLOUDFLARE_API_BASE_URL', env.CLOUDFLARE_API_BASE_URL ?? API),
    r2: baseUrl('R2_ENDPOINT', env.R2_ENDPOINT ?? `https://${id}.r2.cloudflarestorage.com`),
  }
}

function baseUrl(name: string, text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const local = url !== undefined && isLoopback(url.hostname)
  if (url === undefined || (url.protocol !== 'https:' && !(url.protocol === 'http:' && local))) {
    throw new UsageError(`${name} must be an https:// address, because credentials are sent to it.`)
  }
  return url
}
