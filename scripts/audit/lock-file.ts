import * as z from 'zod'
import type { Finding } from './finding.ts'
import { isAllowed } from './licences.ts'

const entrySchema = z.object({
  version: z.string().optional(),
  license: z.string().optional(),
  resolved: z.string().optional(),
  integrity: z.string().optional(),
  link: z.boolean().optional(),
  dev: z.boolean().optional(),
  devOptional: z.boolean().optional(),
  hasInstallScript: z.boolean().optional(),
})

export const lockFileSchema = z.object({ lockfileVersion: z.literal(3), packages: z.record(z.string(), entrySchema) })
export type LockFile = z.infer<typeof lockFileSchema>

export interface Checked {
  /** Packages that were looked at, of them those that are used in production. */
  readonly packages: number
  readonly production: number
  readonly findings: readonly Finding[]
}

/**
 * What a lock file says of its packages: a licence that nobody has allowed, content that is not pinned by a digest, an
 * install script that nobody has decided about.
 * @param allowScripts of package.json
 */
export function checkLockFile({ packages }: LockFile, allowScripts: Readonly<Record<string, boolean>>): Checked {
  const findings = new Map<string, Finding>()
  let count = 0
  let production = 0
  for (const [path, entry] of Object.entries(packages)) {
    if (path === '' || entry.link === true) continue
    const name = path.split('node_modules/').at(-1) ?? path
    const isDevelopment = entry.dev === true || entry.devOptional === true
    const add = (what: string, message: string): void => {
      const version = entry.version === undefined ? '' : ` ${entry.version}`
      const use = isDevelopment ? 'development' : 'production'
      findings.set(`${name} ${what}`, { package: name, what, message: `${name}${version} (${use}) ${message}` })
    }
    count++
    if (!isDevelopment) production++
    if (entry.license === undefined) add('no licence', 'names no licence.')
    else if (!isAllowed(entry.license, isDevelopment)) add(entry.license, `has the licence ${entry.license}.`)
    if (!/^sha512-/.test(entry.integrity ?? '')) add('no digest', 'is not pinned by a SHA-512 digest.')
    if (entry.resolved !== undefined && !entry.resolved.startsWith('https://')) {
      add('no registry', 'does not come from a registry over https.')
    }
    if (entry.hasInstallScript === true && !Object.hasOwn(allowScripts, name)) {
      add('install script', 'has an install script that "allowScripts" in package.json does not decide about.')
    }
  }
  return { packages: count, production, findings: [...findings.values()] }
}
