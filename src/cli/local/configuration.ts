import { readEnvironment } from '../../cloudflare/wrangler-config.ts'
import { parseConfig } from '../../config/config.ts'
import { systemClock } from '../../core/runtime.ts'
import { resolveOrigins } from '../../placement/remote/resolve.ts'
import { UsageError } from '../terminal/command-line.ts'

/** A variable of the Worker on this machine, and where it is written. */
interface Written {
  readonly value: unknown
  readonly where: string
}

/**
 * The variables and secrets that `wrangler dev` would give the Worker, as wrangler reads them.
 * @param envFiles as `DevServerOptions` has them
 */
async function localVariables(
  configPath: string,
  envFiles: readonly string[] | undefined,
): Promise<ReadonlyMap<string, Written>> {
  const { vars } = await readEnvironment(configPath, undefined)
  const { unstable_getVarsForDev: getVars } = await import('wrangler')
  const files = envFiles === undefined || envFiles.length === 0 ? undefined : [...envFiles]
  const found = getVars(configPath, files, vars as Parameters<typeof getVars>[2], undefined, true)
  return new Map(
    Object.entries(found).map(([name, { type, value }]) => [
      name,
      { value, where: type === 'secret_text' ? '.dev.vars' : 'wrangler.toml, [vars]' },
    ]),
  )
}

/** The same as plain values, for checks. */
export async function localValues(configPath: string): Promise<Readonly<Record<string, unknown>>> {
  return plain(await localVariables(configPath, undefined))
}

/**
 * Parses the configuration like the Worker at its start, so that an error is reported in one line before any work. A
 * Worker with an invalid configuration answers only an HTML page.
 * @throws UsageError that names the variable, and never its value
 */
export async function checkLocalConfiguration(
  configPath: string,
  envFiles: readonly string[] | undefined,
): Promise<void> {
  const variables = await localVariables(configPath, envFiles)
  const { bindings } = await readEnvironment(configPath, undefined)
  try {
    const { origins } = await parseConfig(plain(variables))
    resolveOrigins(origins, {
      secret: (name) => {
        const value = variables.get(name)?.value
        return typeof value === 'string' ? value : undefined
      },
      binding: (name) => (bindings.includes(name) ? fetch : undefined),
      fetch,
      clock: systemClock,
      randomId: () => '',
    })
  } catch (error) {
    const { message } = error as Error
    const named = [...variables].filter(([name]) => new RegExp(`\\b${name}\\b`).test(message))
    const places = [...new Set(named.map(([, { where }]) => where))]
    throw new UsageError(`${message}${places.length === 0 ? '' : ` (In ${places.join(' and ')}.)`}`)
  }
}

function plain(variables: ReadonlyMap<string, Written>): Readonly<Record<string, unknown>> {
  return Object.fromEntries([...variables].map(([name, { value }]) => [name, value]))
}
