import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { runScript, UsageError } from '../src/cli/terminal/command-line.ts'
import { audit } from './audit/audit.ts'

const ROOT = join(import.meta.dirname, '..')
const HELP = `Audits all dependencies: known vulnerabilities, licences, digests and install scripts. Accepted findings, by
name, date and reason, are in scripts/audit/accepted.json. Where the registry offers no audit, it says so and does not fail.

Usage: npm run audit`

await runScript(HELP, async () => {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { help: { type: 'boolean' } } })
  if (values.help) return HELP
  if (positionals.length > 0) throw new UsageError(HELP)
  const today = new Date().toISOString().slice(0, 10)
  const { ok, lines } = await audit(ROOT, join(ROOT, 'scripts/audit/accepted.json'), today)
  if (!ok) process.exitCode = 1
  return [
    ...lines,
    ok ? 'No finding is open.' : 'Update the package, or accept the finding in scripts/audit/accepted.json.',
  ].join('\n')
})
