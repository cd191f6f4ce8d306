import { LEAST_SECRET } from '../../access/signature.ts'
import type { Clock } from '../../core/runtime.ts'
import type { OriginAuthConfig, OriginConfig } from '../config.ts'
import type { Fetch, Origin, OriginAuth } from '../origin.ts'
import { accessAuth, bearerAuth, hmacAuth, noAuth } from './auth.ts'

/** What an origin's description names, and only the environment has. */
export interface OriginEnvironment {
  /** Undefined if there is none of the name. */
  secret(name: string): string | undefined
  /** The `fetch` of a binding; undefined if there is none of the name. */
  binding(name: string): Fetch | undefined
  /** For origins without a binding. */
  readonly fetch: Fetch
  readonly clock: Clock
  /** A random UUID. */
  readonly randomId: () => string
}

/** Makes origins of their descriptions. @throws an error that names what is missing, and never its value */
export function resolveOrigins(configs: readonly OriginConfig[], environment: OriginEnvironment): readonly Origin[] {
  return configs.map(({ auth, binding, ...origin }) => ({
    ...origin,
    auth: authOf(origin.name, auth, environment),
    fetch: binding === undefined ? environment.fetch : bound(origin.name, binding, environment),
  }))
}

function authOf(origin: string, auth: OriginAuthConfig, environment: OriginEnvironment): OriginAuth {
  const secret = (name: string): string => {
    const value = environment.secret(name)
    if (value !== undefined && value !== '') return value
    throw missing(origin, `the secret ${name}. Set it: npx wrangler secret put ${name} --env NAME`)
  }
  switch (auth.type) {
    case 'hmac':
      return hmacAuth(long(secret(auth.key), origin, auth.key), environment)
    case 'bearer':
      return bearerAuth(carried(secret(auth.token), origin, auth.token))
    case 'access':
      return accessAuth(carried(secret(auth.id), origin, auth.id), carried(secret(auth.secret), origin, auth.secret))
    case 'none':
      return noAuth()
  }
}

function long(secret: string, origin: string, name: string): string {
  if (secret.length >= LEAST_SECRET) return secret
  throw missing(origin, `${LEAST_SECRET} characters or more in the secret ${name}. Create one: openssl rand -hex 32`)
}

function carried(secret: string, origin: string, name: string): string {
  if (/^[\x21-\x7e]+$/.test(secret)) return secret
  throw missing(origin, `only visible ASCII characters in the secret ${name}, because it is sent in a header.`)
}

function bound(origin: string, binding: string, environment: OriginEnvironment): Fetch {
  const fetch = environment.binding(binding)
  if (fetch !== undefined) return fetch
  throw missing(origin, `the binding ${binding}. Add it to wrangler.toml.`)
}

function missing(origin: string, what: string): Error {
  return new Error(`The Worker's configuration is invalid. ORIGINS: origin "${origin}" needs ${what}`)
}
