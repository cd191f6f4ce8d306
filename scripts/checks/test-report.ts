import * as z from 'zod'

/** What is used of a report by vitest's json reporter. */
const reportSchema = z.object({
  success: z.boolean(),
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      message: z.string().optional(),
      assertionResults: z.array(z.object({ fullName: z.string(), status: z.string() })),
    }),
  ),
})

export interface Summary {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  /** Why the run is not good, a line each; empty if it is. */
  readonly problems: readonly string[]
}

/** A skip is declared where the test's name, or that of a group around it, says why, in one of two forms. */
const DECLARED = /skipped(?:,| only where) \S/

/** Counts tests over reports, and finds failures and skips that nobody declared. */
export function summarise(reports: readonly unknown[]): Summary {
  let passed = 0
  let failed = 0
  let skipped = 0
  const problems: string[] = []
  for (const value of reports) {
    const report = reportSchema.parse(value)
    const before = problems.length
    for (const file of report.testResults) {
      // A file that cannot be loaded has failed without any test of its own having done so.
      if (file.status === 'failed' && !file.assertionResults.some(({ status }) => status === 'failed')) {
        failed++
        problems.push(`failed: ${file.name}: ${file.message ?? 'the file could not be run'}`)
      }
      for (const { fullName, status } of file.assertionResults) {
        if (status === 'passed') passed++
        else if (status === 'failed') {
          failed++
          problems.push(`failed: ${fullName}`)
        } else {
          skipped++
          if (!DECLARED.test(fullName)) {
            problems.push(
              `skipped without a reason: ${fullName} (its name must say "skipped, <reason>" or "skipped only where <condition>")`,
            )
          }
        }
      }
    }
    if (!report.success && problems.length === before) problems.push('failed: the test run, outside its tests')
  }
  if (passed === 0) problems.push('failed: no test ran')
  return { passed, failed, skipped, problems }
}
