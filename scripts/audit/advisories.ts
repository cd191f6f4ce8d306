import { execFile } from 'node:child_process'
import * as z from 'zod'
import type { Finding } from './finding.ts'

const advisorySchema = z.object({
  title: z.string(),
  url: z.string(),
  severity: z.string(),
  range: z.string(),
})

/** As `npm audit --json` answers, version 2: an advisory where a package has one itself, a name where a dependency has. */
const reportSchema = z.object({
  auditReportVersion: z.literal(2),
  vulnerabilities: z.record(z.string(), z.object({ via: z.array(z.union([z.string(), advisorySchema])) })),
})

const failureSchema = z.union([
  z.object({ statusCode: z.number() }),
  z.object({ error: z.object({ code: z.string().nullable().optional(), summary: z.string().optional() }) }),
])

export type Advisories =
  | { readonly kind: 'findings'; readonly findings: readonly Finding[] }
  /** The registry has no such service. */
  | { readonly kind: 'not offered'; readonly why: string }
  | { readonly kind: 'failed'; readonly why: string }

/** What a registry answers that has no audits: no such address, no such method, not implemented. */
const NOT_OFFERED: ReadonlySet<number> = new Set([404, 405, 410, 501])

/** Known vulnerabilities of all dependencies in a folder's lock file, from the registry that npm is configured for. */
export async function askAdvisories(folder: string): Promise<Advisories> {
  const { stdout, message } = await npmAudit(folder)
  let value: unknown
  try {
    value = JSON.parse(stdout)
  } catch {
    return { kind: 'failed', why: `npm audit did not answer with JSON: ${message}` }
  }
  return readAdvisories(value)
}

/** What an answer of `npm audit --json` says. */
export function readAdvisories(value: unknown): Advisories {
  const report = reportSchema.safeParse(value)
  if (report.success) return { kind: 'findings', findings: findingsIn(report.data) }
  const failure = failureSchema.safeParse(value)
  if (!failure.success) return { kind: 'failed', why: 'npm audit answered in a form that is not known here.' }
  if ('statusCode' in failure.data) {
    const { statusCode } = failure.data
    if (NOT_OFFERED.has(statusCode)) return { kind: 'not offered', why: `HTTP ${statusCode}` }
    return { kind: 'failed', why: `The registry answered HTTP ${statusCode}.` }
  }
  const { code, summary } = failure.data.error
  if (code === 'ENOAUDIT') return { kind: 'not offered', why: code }
  return { kind: 'failed', why: [code, summary].filter(Boolean).join(': ') || 'npm audit failed.' }
}

function findingsIn({ vulnerabilities }: z.infer<typeof reportSchema>): Finding[] {
  return Object.entries(vulnerabilities).flatMap(([name, { via }]) =>
    via.flatMap((advisory) => {
      if (typeof advisory === 'string') return []
      const { range, severity, title, url } = advisory
      // GHSA-xxxx-xxxx-xxxx, the last part of its address.
      const id = url.split('/').at(-1) ?? url
      return [{ package: name, what: id, message: `${name} ${range}: ${title} (${severity}, ${url}).` }]
    }),
  )
}

function npmAudit(folder: string): Promise<{ readonly stdout: string; readonly message: string }> {
  return new Promise((resolve) => {
    // npm's exit code says whether there are findings, and is no failure. Its answer grows with their number.
    const options = { cwd: folder, maxBuffer: 64e6, timeout: 120_000, shell: process.platform === 'win32' }
    execFile('npm', ['audit', '--json'], options, (error, stdout) => {
      resolve({ stdout, message: error?.message.split('\n', 1)[0] ?? 'the answer is empty' })
    })
  })
}
