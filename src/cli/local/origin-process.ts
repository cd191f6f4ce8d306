import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { ROOT } from '../files/project.ts'

export interface OriginProcess {
  readonly process: ChildProcess
  /** Address of its API, and of health and metrics. */
  readonly url: string
  readonly admin: string
  /** What requests may be signed with. */
  readonly keys: readonly string[]
  /** Parsed lines of its log so far. */
  readonly logs: readonly LogLine[]
  /** Resolves with a line of this event, past or to come. */
  logged(event: string): Promise<LogLine>
  /** The exit code. */
  readonly ended: Promise<number | null>
  /** Sends SIGTERM and waits for the end. @returns the exit code */
  stop(): Promise<number | null>
}

export interface LogLine {
  readonly event: string
  readonly level: string
  readonly [field: string]: unknown
}

export interface OriginProcessOptions {
  readonly from: string
  readonly cache: string
  readonly keys: readonly string[]
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

/** Starts an origin as a process of its own, on free ports unless `args` names others. Resolves when it listens; `logged` tells the rest. */
export async function startOriginProcess(options: OriginProcessOptions): Promise<OriginProcess> {
  const args = ['--from', options.from, '--cache', options.cache, '--port', '0', '--admin-port', '0']
  const child = spawn(process.execPath, [join(ROOT, 'scripts/origin.ts'), ...args, ...(options.args ?? [])], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, VERGE_ORIGIN_KEY: options.keys.join(','), ...options.env },
  })
  const logs: LogLine[] = []
  const waiting = new Set<() => void>()
  const wake = (): void => {
    for (const look of waiting) look()
  }
  let errors = ''
  child.stderr.on('data', (data: Buffer) => {
    errors += data
  })
  createInterface({ input: child.stdout }).on('line', (line) => {
    logs.push(JSON.parse(line) as LogLine)
    wake()
  })
  const exited = once(child, 'exit') as Promise<[number | null]>
  exited.then(wake, wake)
  const logged = (event: string): Promise<LogLine> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const found = logs.find((line) => line.event === event)
        if (found === undefined && child.exitCode === null && child.signalCode === null) return
        waiting.delete(look)
        if (found === undefined) reject(new Error(`The origin ended without "${event}".\n${errors}`))
        else resolve(found)
      }
      waiting.add(look)
      look()
    })
  const { port, adminPort } = await logged('origin_listening')
  return {
    process: child,
    url: `http://127.0.0.1:${port}`,
    admin: `http://127.0.0.1:${adminPort}`,
    keys: options.keys,
    logs,
    logged,
    ended: exited.then(([code]) => code),
    async stop() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
      const [code] = await exited
      return code
    },
  }
}
