import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { acceptedFileSchema, decide } from './accepted.ts'
import { askAdvisories } from './advisories.ts'
import { checkLockFile, lockFileSchema } from './lock-file.ts'

export interface AuditReport {
  readonly ok: boolean
  /** Lines for a person; what needs a decision comes last. */
  readonly lines: readonly string[]
}

const packageSchema = z.object({ allowScripts: z.record(z.string(), z.boolean()).default({}) })

/**
 * Audits the dependencies of a folder: known vulnerabilities, licences, digests and install scripts, less what was accepted.
 * @param accepted path of the file with what was accepted
 * @param today as YYYY-MM-DD
 */
export async function audit(folder: string, accepted: string, today: string): Promise<AuditReport> {
  const { allowScripts } = packageSchema.parse(await json(join(folder, 'package.json')))
  const lock = checkLockFile(lockFileSchema.parse(await json(join(folder, 'package-lock.json'))), allowScripts)
  const advisories = await askAdvisories(folder)
  const known = advisories.kind === 'findings' ? advisories.findings : []
  const file = acceptedFileSchema.parse(await json(accepted))
  // Of advisories that nobody could look up, it cannot be said that they are no longer found.
  const asked = advisories.kind === 'findings' ? file : file.filter(({ what }) => !what.startsWith('GHSA-'))
  const decided = decide([...known, ...lock.findings], asked, today)
  const failed = advisories.kind === 'failed' ? [advisories.why] : []
  return {
    ok: decided.open.length === 0 && failed.length === 0,
    lines: [
      `${lock.packages} packages, ${lock.production} of them for production.`,
      advisories.kind === 'findings'
        ? `Known vulnerabilities: ${known.length}.`
        : advisories.kind === 'not offered'
          ? `Known vulnerabilities were not looked up: the registry offers no audit (${advisories.why}).`
          : 'Known vulnerabilities were not looked up.',
      ...decided.accepted.map((line) => `accepted: ${line}`),
      ...decided.unused.map((line) => `unused:   ${line}`),
      ...failed.map((line) => `failed:   ${line}`),
      ...decided.open.map((line) => `OPEN:     ${line}`),
    ],
  }
}

async function json(path: string): Promise<unknown> {
  return JSON.parse(await readFile(path, 'utf8'))
}
