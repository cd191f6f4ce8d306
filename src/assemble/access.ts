import { Attempts } from '../access/attempts.ts'
import { Credentials } from '../access/credentials.ts'
import type { FloodGuard } from '../access/flood.ts'
import type { KeyReader } from '../access/keys/reader.ts'
import { signInChecks } from '../access/sign-in/checks.ts'
import { tokenCheck } from '../access/tokens/check.ts'
import type { Config } from '../config/config.ts'
import type { Env } from './env.ts'
import type { Shared } from './shared.ts'

/** Who calls: the operator, keys, browser tokens and sign-ins. */
export function credentialsOf(
  env: Env,
  config: Config,
  keys: KeyReader,
  addressRate: FloodGuard | undefined,
  shared: Shared,
): Credentials {
  const { clock, limits } = shared
  const attempts = new Attempts({ ...shared, addressRate })
  return new Credentials({
    apiKeyDigest: config.apiKeyDigest,
    keys,
    attempts,
    token: tokenCheck({ ...shared, key: config.tokenKey, keys, attempts }),
    clock,
    limits,
    ...signInChecks(config.signIn, { ...shared, fetch: (request) => fetch(request), namespace: env.KV }),
  })
}
