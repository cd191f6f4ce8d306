import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { runScript, UsageError } from '../../src/cli/terminal/command-line.ts'
import { errorsBeside, summarise } from './test-report.ts'

const HELP = `Sums up test reports, and fails where a test failed or was skipped without its name saying why, or where something
failed outside of tests.

Usage: node scripts/checks/skips.ts REPORT.json ...

  REPORT.json   as vitest's json reporter writes it; REPORT.errors.json beside it, by run-reporter.ts, is read too`

await runScript(HELP, async () => {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { help: { type: 'boolean' } } })
  if (values.help) return HELP
  if (positionals.length === 0) throw new UsageError(HELP)
  const reports: unknown[] = []
  const errors: unknown[] = []
  for (const file of positionals) {
    const text = await readFile(file, 'utf8').catch(() => {
      throw new UsageError(`There is no test report ${file}: the tests did not run to their end.`)
    })
    reports.push(JSON.parse(text))
    const beside = await readFile(errorsBeside(file), 'utf8').catch(() => undefined)
    if (beside !== undefined) errors.push(JSON.parse(beside))
  }
  const { passed, failed, skipped, problems } = summarise(reports, errors)
  if (problems.length > 0) process.exitCode = 1
  // On one stream and with the problems last: the end of a log is what is read of it.
  return [`${passed} passed, ${failed} failed, ${skipped} skipped`, ...problems].join('\n')
})
