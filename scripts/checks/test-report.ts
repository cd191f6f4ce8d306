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

/** What failed outside of tests, as run-reporter.ts writes it. */
const errorsSchema = z.array(
  z.object({ message: z.string(), during: z.string().nullable(), stack: z.string().nullable() }),
)

/** The file beside a JSON report that holds the errors outside of its tests. */
export function errorsBeside(report: string): string {
  return report.replace(/(\.json)?$/, '.errors.json')
}

export interface Summary {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  /** Why the run is not good, a line each; empty if it is. */
  readonly problems: readonly string[]
}

/** A skip is declared where the test's name, or that of a group around it, says why, in one of two forms. */
const DECLARED = /skipped(?:,| only where) \S/

/** How much of an error's stack is shown. */
const STACK_LINES = 6

/**
 * Counts tests over reports, and finds failures and undeclared skips.
 * @param errors what failed outside of tests, one list for each report that has one
 */
export function summarise(reports: readonly unknown[], errors: readonly unknown[] = []): Summary {
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
  for (const { message, during, stack } of errors.flatMap((list) => errorsSchema.parse(list))) {
    const where = during === null ? '' : ` (while ${during} ran)`
    const frames = (stack ?? '').split('\n').filter((line) => /^\s+at /.test(line))
    problems.push([`failed outside of tests${where}: ${message}`, ...frames.slice(0, STACK_LINES)].join('\n'))
  }
  if (passed === 0) problems.push('failed: no test ran')
  return { passed, failed, skipped, problems }
}
