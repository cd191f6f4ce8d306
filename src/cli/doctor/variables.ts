import { parseConfig } from '../../config/config.ts'
import { RENAMED_VARIABLES, VARIABLE_NAMES } from '../../config/variables.ts'
import type { OriginAuthConfig, OriginConfig } from '../../placement/config.ts'
import { closest } from '../terminal/closest.ts'
import { type Check, fail, ok, warn } from './check.ts'

/** Names of the secrets that an environment's ORIGINS need, with the origin that needs each. */
export function originSecrets(
  origins: readonly OriginConfig[],
): { readonly origin: string; readonly secret: string }[] {
  return origins.flatMap(({ name: origin, auth }) => secretsOf(auth).map((secret) => ({ origin, secret })))
}

function secretsOf(auth: OriginAuthConfig): readonly string[] {
  switch (auth.type) {
    case 'hmac':
      return [auth.key]
    case 'bearer':
      return [auth.token]
    case 'access':
      return [auth.id, auth.secret]
    case 'none':
      return []
  }
}

/** Whether the Worker would start with these variables, and reads all of them. @param bindings that wrangler.toml names */
export async function checkVariables(
  area: string,
  vars: Readonly<Record<string, unknown>>,
  bindings: readonly string[],
): Promise<Check[]> {
  const checks: Check[] = []
  let origins: readonly OriginConfig[] = []
  try {
    const config = await parseConfig(vars)
    origins = config.origins
    const { corsOrigins } = config
    const who = corsOrigins.includes('*') ? 'any page' : corsOrigins.join(', ') || 'no page of another origin'
    checks.push(ok(area, `variables are valid; ${who} may call`))
  } catch (error) {
    checks.push(fail(area, (error as Error).message, 'docs/configuration.md lists each variable and its values.'))
  }
  for (const { name, binding } of origins) {
    if (binding === undefined || bindings.includes(binding)) continue
    const finding = `ORIGINS: origin "${name}" needs the binding ${binding}, and every request is answered 500 without it`
    checks.push(fail(area, finding, 'Add the binding to wrangler.toml; environments do not inherit bindings.'))
  }
  const needed = originSecrets(origins).map(({ secret }) => secret)
  return [...checks, ...unknownNames(area, 'variable', Object.keys(vars), needed)]
}

/** Names that the Worker does not read. A misspelt name leaves the intended variable at its default. */
export function unknownNames(
  area: string,
  what: 'variable' | 'secret',
  names: readonly string[],
  needed: readonly string[],
): Check[] {
  const known = [...VARIABLE_NAMES, ...needed]
  return (
    names
      // What parses the variables says of those that were renamed.
      .filter((name) => !known.includes(name) && !(what === 'variable' && Object.hasOwn(RENAMED_VARIABLES, name)))
      .map((name) => {
        const meant = closest(name, known)
        return meant === undefined
          ? warn(area, `the Worker reads no ${what} ${name}`, 'Remove it, or see docs/configuration.md for the names.')
          : fail(area, `the Worker reads no ${what} ${name}. Did you mean ${meant}?`, `Rename it to ${meant}.`)
      })
  )
}
