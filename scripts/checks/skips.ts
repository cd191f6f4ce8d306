import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { runScript, UsageError } from '../../src/cli/terminal/command-line.ts'
import { summarise } from './test-report.ts'

const HELP = `Sums up test reports, and fails where a test failed or was skipped without its name saying why.

Usage: node scripts/checks/skips.ts REPORT.json ...

  REPORT.json   as vitest's json reporter writes it`

await runScript(HELP, async () => {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { help: { type: 'boolean' } } })
  if (values.help) return HELP
  if (positionals.length === 0) throw new UsageError(HELP)
  const reports: unknown[] = []
  for (const file of positionals) {
    const text = await readFile(file, 'utf8').catch(() => {
      throw new UsageError(`There is no test report ${file}: the tests did not run to their end.`)
    })
    reports.push(JSON.parse(text))
  }
  const { passed, failed, skipped, problems } = summarise(reports)
  for (const problem of problems) console.error(problem)
  if (problems.length > 0) process.exitCode = 1
  return `${passed} passed, ${failed} failed, ${skipped} skipped`
})
