import { join, relative } from 'node:path'
import { UsageError } from '../command-line.ts'
import type { Built } from './build.ts'

/**
 * Nothing that strays from its original goes any further.
 * @param what would have been done with it: "pushed"
 * @throws UsageError saying which output strays, and what to do
 */
export function refuseStrayed({ report, reports }: Pick<Built, 'report' | 'reports'>, what: string): void {
  const failed = report.verification?.artifacts.filter(({ failures }) => failures.length > 0) ?? []
  if (failed.length === 0) return
  const lines = failed.map(({ artifact, failures }) => `  ${artifact}: ${failures.join('; ')}`).join('\n')
  throw new UsageError(
    `The model strays from the original, and was not ${what}:\n${lines}\n` +
      'Keep the layers where it begins in floats (--exclude), take a higher precision (--dtype), or allow it (--tolerance).' +
      `\nThe whole report: ${relative(process.cwd(), join(reports, 'report.html'))}`,
  )
}
