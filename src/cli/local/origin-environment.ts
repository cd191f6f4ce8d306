import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { LIMITS } from '../../core/limits.ts'
import { localOriginKey } from '../../origin/command/key.ts'
import { parseOrigins } from '../../placement/config.ts'
import { ROOT } from '../files/project.ts'
import { writeWhole } from '../files/whole-file.ts'
import { UsageError } from '../terminal/command-line.ts'

/** Where `npm run origin` listens if it is not told otherwise. */
const LOCAL_ORIGIN = 'http://127.0.0.1:8788'

/**
 * Git ignores it, and only this user may read it: there is a key in it. Each Worker has its own, because wrangler reads
 * it again whenever something changes.
 */
const fileOf = (port: number): string => join(ROOT, `.verge/origin-${port}.env`)
const OWN_VARIABLES = join(ROOT, '.dev.vars')

/**
 * Variables that connect the local Worker to a local origin. `.dev.vars` overrides them.
 * @param port of the Worker
 * @param url `none`: no origin
 * @returns files for wrangler, as long as this process lives
 * @throws UsageError if the address is invalid
 */
export async function originEnvironment(port: number, url: string = LOCAL_ORIGIN): Promise<readonly string[]> {
  const own = existsSync(OWN_VARIABLES) ? [OWN_VARIABLES] : []
  if (url === 'none') return own
  const origins = JSON.stringify([{ name: 'local', url, auth: { type: 'hmac', key: 'ORIGIN_KEY' } }])
  try {
    parseOrigins(origins, LIMITS)
  } catch (error) {
    // the address itself may hold a credential
    throw new UsageError(`--origin: ${(error as Error).message}`)
  }
  const lines = [`ORIGINS='${origins}'`, `ORIGIN_KEY='${await localOriginKey()}'`, '']
  const file = fileOf(port)
  await writeWhole(file, lines.join('\n'), { mode: 0o600 })
  process.on('exit', () => rmSync(file, { force: true }))
  return [file, ...own]
}
