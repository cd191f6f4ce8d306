import { PERMISSIONS } from './account.ts'

/**
 * What to do about a refusal of Cloudflare's, by the code that it came with: a permission is one reason of many for a 403.
 * (developers.cloudflare.com/r2/api/error-codes; developers.cloudflare.com/fundamentals/api/troubleshooting)
 */

const ENABLE_R2 =
  'R2 is not enabled in this account. Enable it in the dashboard (dash.cloudflare.com, "R2 Object Storage"), then run this ' +
  'again. The permissions of the API token are sufficient.'
const TOKEN = `Check CLOUDFLARE_API_TOKEN: it is wrong, expired or revoked. Create a new one with the permissions ${PERMISSIONS.join(', ')}.`
const PERMISSION = `The API token needs the permissions ${PERMISSIONS.join(', ')} on this account.`
const ACCOUNT = 'Check CLOUDFLARE_ACCOUNT_ID: this token has no access to that account.'
const SUBDOMAIN =
  'Choose a workers.dev subdomain first: open "Workers & Pages" in the dashboard (dash.cloudflare.com) once.'

const BY_API_CODE: Readonly<Record<number, string>> = {
  1000: TOKEN,
  6003: TOKEN,
  6111: TOKEN,
  7000: ACCOUNT,
  7003: ACCOUNT,
  9109: TOKEN,
  // "Authentication error": the token is known, and may not do this
  10000: PERMISSION,
  10005: 'Change bucket_name in wrangler.toml: lower-case letters, digits and "-", 3 to 63 of them.',
  10009: 'The account has reached its limit of buckets. Delete a bucket, or ask Cloudflare for a higher limit.',
  10013:
    'The KV namespace that wrangler.toml names is not in this account. Use the account that has it, or run "npx verge setup".',
  10042: ENABLE_R2,
  10063: SUBDOMAIN,
  10136: ENABLE_R2,
}

/** @param codes Cloudflare's own, in the answer @returns a sentence or more; empty if nothing is known */
export function apiAdvice(status: number, codes: readonly number[]): string {
  for (const code of codes) {
    const advice = BY_API_CODE[code]
    if (advice !== undefined) return advice
  }
  return status === 401 || status === 403 ? PERMISSION : ''
}

/** Where the keys for R2's S3 API are from. */
export type KeySource = 'keys' | 'token'

const CLOCK = "This machine's clock differs too much from Cloudflare's. Set the clock, then run the command again."
const KEY_RULES =
  'An access key id has 32 hexadecimal digits and a secret 64. Create both in the dashboard ("R2 Object Storage", "Manage ' +
  'API tokens"), or unset both to use CLOUDFLARE_API_TOKEN.'

/**
 * @param code of S3's, in the answer; undefined where it had none, as an answer to HEAD
 * @param source of the keys that the request was signed with
 */
export function s3Advice(status: number, code: string | undefined, source: KeySource): string {
  const rights =
    source === 'keys'
      ? 'The keys in R2_ACCESS_KEY_ID and R2_SECRET_ACCESS_KEY lack a permission: they need "Object Read & Write" for this bucket.'
      : 'The API token needs the permission "Workers R2 Storage: Edit" on this account.'
  switch (code) {
    case 'NoSuchBucket':
      return 'Create it: "npx verge setup" does.'
    case 'NotEntitled':
      return ENABLE_R2
    case 'RequestTimeTooSkewed':
    case 'ExpiredRequest':
      return CLOCK
    case 'InvalidAccessKeyId':
    case 'Unauthorized':
      return source === 'keys'
        ? `R2 does not know the keys in R2_ACCESS_KEY_ID and R2_SECRET_ACCESS_KEY. ${KEY_RULES}`
        : TOKEN
    case 'SignatureDoesNotMatch':
      return source === 'keys'
        ? `R2_SECRET_ACCESS_KEY does not belong to R2_ACCESS_KEY_ID. ${KEY_RULES}`
        : `${TOKEN} If it is right, check this machine's clock and R2_ENDPOINT.`
    case 'InvalidArgument':
      return source === 'keys' && status === 400 ? `R2 cannot use the keys. ${KEY_RULES}` : ''
    default:
      return status === 401 || status === 403 ? `${rights} This machine's clock must be right.` : ''
  }
}
