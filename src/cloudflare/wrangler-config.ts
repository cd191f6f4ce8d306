import { readFile } from 'node:fs/promises'
import { writeWhole } from '../cli/files/whole-file.ts'
import { UsageError } from '../cli/terminal/command-line.ts'

/** The used fields of an environment in wrangler.toml, as wrangler reads it. */
export interface Environment {
  /** Undefined at the top level: this machine. */
  readonly env: string | undefined
  /** The Worker's name in the account. */
  readonly worker: string
  /** Its first custom domain; undefined: it has none, and answers at workers.dev. */
  readonly domain: string | undefined
  readonly bucket: string | undefined
  /** Of the binding KV. */
  readonly namespaceId: string | undefined
  readonly vars: Readonly<Record<string, unknown>>
  /** Names of everything else that is bound: services, certificates, and so on. */
  readonly bindings: readonly string[]
  /** Name that Workers Assets are bound to. */
  readonly assets: string | undefined
  /** Classes of Durable Objects by the names that they are bound to. */
  readonly durableObjects: Readonly<Record<string, string>>
  /** Classes of Durable Objects that migrations have made known. */
  readonly migrated: readonly string[]
  /** Names that limits of the platform are bound to. */
  readonly rateLimits: readonly string[]
  /** Datasets of Workers Analytics Engine by the names that they are bound to. */
  readonly datasets: Readonly<Record<string, string>>
  readonly compatibilityDate: string | undefined
  readonly compatibilityFlags: readonly string[]
  readonly cpuMs: number | undefined
  readonly observability: boolean
  /** Share of requests with stored logs, 0 to 1. */
  readonly sampling: number
}

export const BUCKET_BINDING = 'BUCKET'
export const KV_BINDING = 'KV'

/** Stands where an id has to be; workerd takes it as it is. */
export const PLACEHOLDER = /^0{32}$/

const ENV_NAME = /^[a-z][a-z0-9-]{0,31}$/

/**
 * Reads an environment through wrangler, so that checks see the deployed configuration.
 * @throws UsageError if the file is wrong or has no such environment
 */
export async function readEnvironment(configPath: string, env: string | undefined): Promise<Environment> {
  if (env !== undefined && !ENV_NAME.test(env)) throw new UsageError(`"${env}" is not the name of an environment.`)
  // wrangler takes a second to import, and not every command needs it.
  const { unstable_readConfig: readConfig } = await import('wrangler')
  const known = environmentNames(await readFile(configPath, 'utf8'))
  if (env !== undefined && !known.includes(env)) {
    throw new UsageError(
      `wrangler.toml has no environment "${env}"; it has ${known.join(', ') || 'none'}. Add [env.${env}], or choose one.`,
    )
  }
  const config = read(() =>
    readConfig({ config: configPath, ...(env !== undefined && { env }) }, { hideWarnings: true }),
  )
  return {
    env,
    worker: config.name ?? '',
    domain: customDomain(config),
    bucket: config.r2_buckets.find((each: { binding: string }) => each.binding === BUCKET_BINDING)?.bucket_name,
    namespaceId: config.kv_namespaces.find((each: { binding: string }) => each.binding === KV_BINDING)?.id,
    vars: config.vars,
    bindings: bindingsOf(config),
    assets: config.assets?.binding,
    durableObjects: Object.fromEntries(
      config.durable_objects.bindings.map(({ name, class_name }: { name: string; class_name: string }) => [
        name,
        class_name,
      ]),
    ),
    migrated: (config.migrations ?? []).flatMap(
      (migration: { new_sqlite_classes?: string[]; new_classes?: string[] }) => [
        ...(migration.new_sqlite_classes ?? []),
        ...(migration.new_classes ?? []),
      ],
    ),
    rateLimits: (config.ratelimits ?? []).map(({ name }: { name: string }) => name),
    datasets: Object.fromEntries(
      config.analytics_engine_datasets.map(({ binding, dataset }: { binding: string; dataset?: string }) => [
        binding,
        // Cloudflare names it like the binding.
        dataset ?? binding,
      ]),
    ),
    compatibilityDate: config.compatibility_date,
    compatibilityFlags: config.compatibility_flags,
    cpuMs: config.limits?.cpu_ms,
    observability: config.observability?.enabled ?? false,
    sampling: config.observability?.head_sampling_rate ?? 1,
  }
}

type Route = string | { readonly pattern: string; readonly custom_domain?: boolean }

/** A pattern of a route says where the Worker is asked besides others; a custom domain is an address of its own. */
function customDomain(config: { readonly route?: Route; readonly routes?: readonly Route[] }): string | undefined {
  const routes = [...(config.route === undefined ? [] : [config.route]), ...(config.routes ?? [])]
  return routes.flatMap((each) => (typeof each === 'object' && each.custom_domain === true ? [each.pattern] : []))[0]
}

/** Most tables of bindings are lists with one binding per entry. */
function bindingsOf(config: object): string[] {
  return Object.values(config).flatMap((table: unknown) =>
    Array.isArray(table)
      ? table.flatMap((entry: unknown) => {
          const { binding } = (entry ?? {}) as { readonly binding?: unknown }
          return typeof binding === 'string' ? [binding] : []
        })
      : [],
  )
}

function read<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw new UsageError(`wrangler cannot read wrangler.toml: ${(error as Error).message}`, { cause: error })
  }
}

/** In the order of the file. */
export function environmentNames(toml: string): string[] {
  return [...new Set([...toml.matchAll(/^\[+env\.([A-Za-z0-9_-]+)/gm)].map(([, name]) => name as string))]
}

/**
 * Writes a KV namespace's id into an environment: the one line that holds it, and nothing else, so that comments and
 * order stay. Pure.
 * @throws UsageError with the line to write by hand, if the file is not laid out as expected
 */
export function withNamespaceId(toml: string, env: string, id: string): string {
  const lines = toml.split('\n')
  const header = new RegExp(`^\\s*\\[\\[\\s*env\\.${env}\\.kv_namespaces\\s*\\]\\]`)
  const found: number[] = []
  for (const [start, line] of lines.entries()) {
    if (!header.test(line)) continue
    const length = lines.slice(start + 1).findIndex((other) => /^\s*\[/.test(other))
    const end = length < 0 ? lines.length : start + 1 + length
    const table = lines.slice(start + 1, end)
    if (!table.some((other) => new RegExp(`^\\s*binding\\s*=\\s*["']${KV_BINDING}["']`).test(other))) continue
    const at = table.findIndex((other) => /^\s*id\s*=/.test(other))
    if (at >= 0) found.push(start + 1 + at)
  }
  const [at] = found
  const line = at === undefined ? undefined : lines[at]
  const changed = line?.replace(/^(\s*id\s*=\s*)(["'])[^"']*\2/, `$1"${id}"`)
  if (at === undefined || found.length > 1 || changed === undefined || (changed === line && !line?.includes(id))) {
    throw new UsageError(
      `Verge cannot write the id into this wrangler.toml. Write it yourself:\n\n` +
        `[[env.${env}.kv_namespaces]]\nbinding = "${KV_BINDING}"\nid = "${id}"\n`,
    )
  }
  lines[at] = changed
  return lines.join('\n')
}

/**
 * Writes the id and reads the file again through wrangler. A Worker that runs on this machine watches the file.
 * @throws UsageError if wrangler does not find it there
 */
export async function saveNamespaceId(configPath: string, env: string, id: string): Promise<void> {
  const before = await readFile(configPath, 'utf8')
  await writeWhole(configPath, withNamespaceId(before, env, id))
  const after = await readEnvironment(configPath, env)
  if (after.namespaceId === id) return
  await writeWhole(configPath, before)
  throw new UsageError(
    `wrangler.toml was not changed, because wrangler did not find the id ${id} in the new version. Write the id yourself.`,
  )
}
