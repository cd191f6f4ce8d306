import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { convertV4MiniflareOptions, Miniflare } from 'miniflare'
import { ROOT } from '../../scripts/lib/project.ts'
import { CACHE } from '../models/index.ts'

export interface WorkerProcess {
  readonly url: string
  readonly miniflare: Miniflare
  readonly pid: number
  /** Bytes of the process that are in memory. */
  residentBytes(): number
  /** Milliseconds of CPU time that the process has taken so far. */
  cpuMs(): number
  stop(): Promise<void>
}

/** Local R2 and KV that every Worker of a run shares, so that a fresh process finds the models. */
export const STORAGE = join(CACHE, 'storage')

const running = new Set<WorkerProcess>()

/**
 * Starts a bundled Worker in a workerd process of its own, on a free port of this machine's loopback address.
 * @param directory its bundle
 * @param vars beside those of every Worker here
 */
export async function startWorker(
  directory: string,
  vars: Readonly<Record<string, string>> = {},
  storage = STORAGE,
): Promise<WorkerProcess> {
  const before = new Set(workerdChildren())
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      modules: modulesIn(directory),
      modulesRoot: directory,
      compatibilityDate: compatibilityDate(),
      compatibilityFlags: ['enable_request_signal'],
      r2Buckets: ['BUCKET'],
      kvNamespaces: ['KV'],
      resourcePersistencePath: storage,
      bindings: { CORS_ORIGINS: '*', ...vars },
      host: '127.0.0.1',
      port: 0,
      // A request a log line would be measured too.
      handleStructuredLogs: () => {},
    }),
  )
  const url = (await miniflare.ready).origin
  const pid = workerdChildren().find((child) => !before.has(child))
  if (pid === undefined) throw new Error('workerd was not found among the child processes')
  const worker: WorkerProcess = {
    url,
    miniflare,
    pid,
    residentBytes: () => residentBytes(pid),
    cpuMs: () => cpuMs(pid),
    async stop() {
      running.delete(worker)
      await miniflare.dispose()
    },
  }
  running.add(worker)
  return worker
}

/** Ends every Worker that is still running. */
export async function stopAllWorkers(): Promise<void> {
  await Promise.allSettled([...running].map((worker) => worker.stop()))
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

function modulesIn(directory: string) {
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

function compatibilityDate(): string {
  const date = /^compatibility_date = "(.+)"$/m.exec(readFileSync(join(ROOT, 'wrangler.toml'), 'utf8'))?.[1]
  if (date === undefined) throw new Error('wrangler.toml has no compatibility_date')
  return date
}

/** workerd processes that this process started, by /proc: Linux only. */
function workerdChildren(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      const [name, parent] = statFields(pid, [0, 2])
      return name === 'workerd' && Number(parent) === process.pid
    })
}

/** Fields of /proc/PID/stat after the process id: 0 name, 2 parent, 12 user time, 13 system time. */
function statFields(pid: number, wanted: readonly number[]): (string | undefined)[] {
  try {
    const [, name, rest] = /^\d+ \((.*)\) (.*)$/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? []
    const fields = [name, ...(rest ?? '').split(' ')]
    return wanted.map((index) => fields[index])
  } catch {
    return []
  }
}

/** The kernel counts CPU time in hundredths of a second. */
const TICK_MS = 10

function cpuMs(pid: number): number {
  const [user, system] = statFields(pid, [12, 13])
  return (Number(user) + Number(system)) * TICK_MS
}

function residentBytes(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  if (kilobytes === undefined) throw new Error(`no resident size for process ${pid}`)
  return Number(kilobytes) * 1024
}
