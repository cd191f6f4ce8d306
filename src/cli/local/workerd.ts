import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Miniflare } from 'miniflare'
import { PACKAGE } from '../files/project.ts'
import { guardWorkerd } from './guard/guard.ts'
import { processTable } from './processes.ts'
import { requireOfWrangler } from './wrangler.ts'

/** Name of the Worker in its process. */
export const WORKER_NAME = 'verge'

/** A Worker in a separate workerd process, seen from outside. */
export interface WorkerdProcess {
  readonly url: string
  readonly miniflare: Miniflare
  readonly pid: number
  /** Bytes of the process that are in memory. */
  residentBytes(): number
  /** Milliseconds of CPU time that the process has taken so far. */
  cpuMs(): number
}

export interface WorkerdOptions {
  readonly vars?: Readonly<Record<string, string>>
  /** Folder of local R2 and KV; empty ones, gone at the end, if left out. */
  readonly storage?: string
  /** Folder that Workers Assets serve, as wrangler.toml has it. Without it there is no page. */
  readonly assets?: string
  /** Opens V8's inspector on a separate port. */
  readonly inspected?: boolean
  /** Reaches the Worker without Miniflare's own before it, which takes a millisecond of each request and has no like. */
  readonly direct?: boolean
  /** Called with each line that the Worker logs. */
  readonly log?: (line: string) => void
  /** Durable Objects of the bundle that are not bound: what they are for is not done. */
  readonly unbound?: readonly (keyof typeof OBJECT_CLASSES)[]
  /** Requests in a minute, by the names that limits of the platform are bound to; left out: none is bound. */
  readonly rateLimits?: Readonly<Record<string, number>>
  /** Other Workers beside it in the same process, bound to it or not, by Miniflare's options. */
  readonly beside?: readonly BesideWorker[]
}

export interface BesideWorker {
  readonly name: string
  /** One ES module. */
  readonly script: string
  readonly compatibilityDate: string
  readonly compatibilityFlags?: readonly string[]
  readonly serviceBindings: Readonly<
    Record<string, { readonly name: string; readonly entrypoint?: string; readonly props?: Record<string, unknown> }>
  >
}

/**
 * Starts a bundled Worker on a free port of this machine's loopback address, with local R2 and KV.
 * @param directory the bundle, as `wrangler deploy --outdir` writes it
 */
export async function startWorkerd(directory: string, options: WorkerdOptions = {}): Promise<WorkerdProcess> {
  guardWorkerd()
  const before = new Set(workerdChildren())
  const verge = {
    name: WORKER_NAME,
    modules: modulesIn(directory),
    modulesRoot: directory,
    compatibilityDate: compatibilityDate(),
    compatibilityFlags: ['enable_request_signal', 'nodejs_als'],
    r2Buckets: ['BUCKET'],
    kvNamespaces: ['KV'],
    durableObjects: durableObjectsIn(directory, options),
    ratelimits: rateLimitsOf(options),
    ...(options.assets !== undefined && { assets: assetsIn(options.assets) }),
    // Measurements and tests need real runs, so the result cache is off by default.
    bindings: { CORS_ALLOW: '*', RESULT_CACHE_TTL_SECONDS: '0', LOG_SAMPLE_RATE: '0', ...options.vars },
    ...(options.direct && { unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }] }),
  }
  const beside = (options.beside ?? []).map((worker) => ({
    ...worker,
    compatibilityFlags: [...(worker.compatibilityFlags ?? [])],
    modules: true as const,
  }))
  const library = requireOfWrangler()('miniflare') as typeof import('miniflare')
  const miniflare = new library.Miniflare(
    library.convertV4MiniflareOptions({
      workers: [verge, ...beside],
      ...(options.storage !== undefined && { resourcePersistencePath: options.storage }),
      host: '127.0.0.1',
      port: 0,
      ...(options.inspected && { inspectorPort: 0 }),
      handleStructuredLogs: ({ message }) => options.log?.(message),
    }),
  )
  try {
    const ready = await miniflare.ready
    const url = (options.direct ? await miniflare.unsafeGetDirectURL(WORKER_NAME) : ready).origin
    const pid = workerdChildren().find((child) => !before.has(child))
    if (pid === undefined) throw new Error('workerd was not found among the child processes')
    return {
      url,
      miniflare,
      pid,
      residentBytes: () => processTable.residentBytes(pid),
      cpuMs: () => processTable.cpuMs(pid),
    }
  } catch (error) {
    // What Miniflare listens with would keep this process alive; there may be no workerd to end any more.
    await miniflare.dispose().catch(() => undefined)
    throw error
  }
}

/** What wrangler makes of `[[ratelimits]]` in wrangler.toml. */
function rateLimitsOf({ rateLimits = {} }: Pick<WorkerdOptions, 'rateLimits'>) {
  return Object.fromEntries(
    Object.entries(rateLimits).map(([binding, limit], at) => [
      binding,
      { namespace_id: String(at + 1), simple: { limit, period: 60 as const } },
    ]),
  )
}

/** What wrangler makes of `[assets]` in wrangler.toml. */
function assetsIn(directory: string) {
  return {
    directory,
    binding: 'ASSETS',
    run_worker_first: JSON.parse(ownSetting('run_worker_first')) as string[],
    routerConfig: { has_user_worker: true },
    assetConfig: { html_handling: 'none' as const },
  }
}

/** Kills whatever workerd is left, without waiting: for a process that is about to exit. */
export function killAllWorkers(): void {
  for (const pid of workerdChildren()) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It has ended meanwhile.
    }
  }
}

/** Bytes of a bundle as it would be uploaded. */
export function bundleBytes(directory: string): { readonly scripts: number; readonly wasm: number } {
  const total = (type: string): number =>
    modulesIn(directory)
      .filter((module) => module.type === type)
      .reduce((sum, { path }) => sum + statSync(path).size, 0)
  return { scripts: total('ESModule'), wasm: total('CompiledWasm') }
}

/** A bundle's modules, the Worker itself first. */
export function modulesIn(directory: string) {
  const types = { js: 'ESModule', wasm: 'CompiledWasm' } as const
  return (
    readdirSync(directory)
      .flatMap((name) => {
        const type = types[name.split('.').pop() as keyof typeof types]
        return type ? [{ type, path: join(directory, name) }] : []
      })
      // The first module is the Worker itself.
      .sort((a, b) => Number(b.path.endsWith('.js')) - Number(a.path.endsWith('.js')))
  )
}

/** Classes of the Worker's Durable Objects, by the names that they are bound to. */
const OBJECT_CLASSES = {
  STREAMS: 'SpeechStream',
  LEDGER: 'Ledger',
  RELEASES: 'ReleaseGuard',
  METRICS: 'Metrics',
  CANARIES: 'CanaryWatch',
} as const

/** Those that the bundle exports: a benchmark's other Workers have none, and workerd would not start. */
function durableObjectsIn(directory: string, { unbound = [] }: Pick<WorkerdOptions, 'unbound'>) {
  const scripts = modulesIn(directory)
    .filter(({ type }) => type === 'ESModule')
    .map(({ path }) => readFileSync(path, 'utf8'))
  const isExported = (name: string): boolean => {
    const exported = new RegExp(`^export \\{[^}]*\\b${name}\\b`, 'm')
    return scripts.some((script) => exported.test(script))
  }
  return Object.fromEntries(
    Object.entries(OBJECT_CLASSES)
      .filter(([binding, className]) => isExported(className) && !unbound.some((each) => each === binding))
      .map(([binding, className]) => [binding, { className, useSQLite: true }]),
  )
}

/** Of the wrangler.toml that ships with Verge: the date that it is tested with. */
export function compatibilityDate(): string {
  return JSON.parse(ownSetting('compatibility_date')) as string
}

/** A setting of Verge's own wrangler.toml, which is written in one line as JSON has it. */
function ownSetting(name: string): string {
  const toml = readFileSync(join(PACKAGE, 'wrangler.toml'), 'utf8')
  const value = new RegExp(`^${name} = (.+)$`, 'm').exec(toml)?.[1]
  if (value === undefined) throw new Error(`wrangler.toml has no ${name}`)
  return value
}

function workerdChildren(): number[] {
  return processTable.children('workerd')
}
