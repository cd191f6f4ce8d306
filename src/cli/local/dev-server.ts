import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ROOT } from '../files/project.ts'
import { guardGroup, guardWorkerd } from './guard/guard.ts'
import { wranglerProgram } from './wrangler.ts'

export interface DevServerOptions {
  readonly port: number
  readonly persistTo: string
  /** Files of variables and secrets, later ones over earlier ones; if there are none, wrangler takes `.dev.vars` itself. */
  readonly envFiles?: readonly string[]
  /** Gets every line that wrangler and the Worker print. */
  readonly onLine: (line: string) => void
}

export interface DevServer {
  readonly url: string
  /** Resolves, with a description, when wrangler has ended: by `stop`, or by itself. */
  readonly ended: Promise<string>
  /** Ends wrangler and all that it started. */
  stop(): Promise<void>
}

/** How long wrangler may take to end by itself before it is killed. */
const GRACE_MS = 5_000

/** Neither telemetry nor a look for updates nor a fetch of `request.cf`: a local start needs no network. */
const OFFLINE = {
  WRANGLER_SEND_METRICS: 'false',
  WRANGLER_SEND_ERROR_REPORTS: 'false',
  WRANGLER_HIDE_BANNER: 'true',
  CLOUDFLARE_CF_FETCH_ENABLED: 'false',
}

/**
 * Starts `wrangler dev` in a process group of its own: workerd is its grandchild, and a signal to the group reaches all
 * of them, so that nothing is left behind.
 */
export function startDevServer(options: DevServerOptions): DevServer {
  guardWorkerd()
  const child = spawn(
    process.execPath,
    [
      wranglerProgram(),
      'dev',
      '--config',
      join(ROOT, 'wrangler.toml'),
      '--ip',
      '127.0.0.1',
      '--port',
      String(options.port),
      '--inspector-port',
      '0',
      '--persist-to',
      options.persistTo,
      '--show-interactive-dev-session=false',
      ...(options.envFiles ?? []).flatMap((file) => ['--env-file', file]),
    ],
    { cwd: ROOT, detached: true, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...OFFLINE } },
  )
  guardGroup(child.pid)
  const kill = (): void => signalGroup(child, 'SIGKILL')
  // The last resort, where this process ends without `stop`: an exception, or a second Ctrl-C.
  process.on('exit', kill)
  for (const stream of [child.stdout, child.stderr]) forEachLine(stream, options.onLine)
  const ended = once(child, 'exit').then(
    ([code, signal]) => {
      process.off('exit', kill)
      // wrangler may be gone while workerd is not.
      kill()
      return signal ? `was ended by ${String(signal)}` : `ended with exit code ${String(code)}`
    },
    (error: Error) => `could not be started: ${error.message}`,
  )
  return {
    url: `http://127.0.0.1:${options.port}`,
    ended,
    async stop() {
      signalGroup(child, 'SIGINT')
      await Promise.race([ended, sleep(GRACE_MS, undefined, { ref: false })])
      kill()
      await ended
    },
  }
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

function forEachLine(stream: NodeJS.ReadableStream, onLine: (line: string) => void): void {
  let rest = ''
  stream.setEncoding('utf8')
  stream.on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) onLine(line)
  })
  stream.on('end', () => {
    if (rest !== '') onLine(rest)
  })
}
