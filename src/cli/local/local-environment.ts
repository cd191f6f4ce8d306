import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { LIMITS } from '../../core/limits.ts'
import { localOriginKey } from '../../origin/command/key.ts'
import { parseOrigins } from '../../placement/config.ts'
import { isPrivate, tracesUrl } from '../../telemetry/traces/settings.ts'
import { ROOT } from '../files/project.ts'
import { writeWhole } from '../files/whole-file.ts'
import { UsageError } from '../terminal/command-line.ts'

/** Where `npm run origin` listens if it is not told otherwise. */
const LOCAL_ORIGIN = 'http://127.0.0.1:8788'

/**
 * Git ignores it, and only this user may read it: there is a key in it. Each Worker has its own, because wrangler reads
 * it again whenever something changes.
 */
const fileOf = (port: number): string => join(ROOT, `.verge/local-${port}.env`)
const OWN_VARIABLES = join(ROOT, '.dev.vars')

/** What the local Worker is connected to. */
export interface Connections {
  /** An origin's address, or `none`; the local origin's if left out. */
  readonly origin?: string | undefined
  /** A collector for traces of all requests; none if left out. */
  readonly traces?: string | undefined
}

/**
 * Variables that connect the local Worker to a local origin and to a collector of traces. `.dev.vars` overrides them.
 * @param port of the Worker
 * @returns files for wrangler, as long as this process lives
 * @throws UsageError if an address is invalid
 */
export async function localEnvironment(port: number, connections: Connections = {}): Promise<readonly string[]> {
  const { origin = LOCAL_ORIGIN, traces } = connections
  const own = existsSync(OWN_VARIABLES) ? [OWN_VARIABLES] : []
  const lines = [...(await originLines(origin)), ...traceLines(traces)]
  if (lines.length === 0) return own
  const file = fileOf(port)
  await writeWhole(file, [...lines, ''].join('\n'), { mode: 0o600 })
  process.on('exit', () => rmSync(file, { force: true }))
  return [file, ...own]
}

async function originLines(url: string): Promise<readonly string[]> {
  if (url === 'none') return []
  const origins = JSON.stringify([{ name: 'local', url, auth: { type: 'hmac', key: 'ORIGIN_KEY' } }])
  try {
    parseOrigins(origins, LIMITS)
  } catch (error) {
    // the address itself may hold a credential
    throw new UsageError(`--origin: ${(error as Error).message}`)
  }
  return [`ORIGINS='${origins}'`, `ORIGIN_KEY='${await localOriginKey()}'`]
}

function traceLines(url: string | undefined): readonly string[] {
  if (url === undefined) return []
  const target = tracesUrl(url)
  if (target === undefined || !isPrivate(target) || url.includes("'"))
    throw new UsageError('--traces must be an https:// address, or an http:// address of this machine.')
  return [`OTLP_ENDPOINT='${url}'`, "TRACE_SAMPLE_RATE='1'"]
}
