import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { betweenMarkers } from '../files/markers.ts'
import { ROOT } from '../files/project.ts'
import { writeWhole } from '../files/whole-file.ts'
import { runScript, UsageError } from '../terminal/command-line.ts'
import { CONFIGURATION_MARKERS, configurationTable } from './table.ts'

const HELP = `Prints the table of the Worker's variables, secrets and bindings, in Markdown.

Usage: node scripts/configuration.ts [options]

  --write    write the table into docs/configuration.md
  --help     this text`

const PAGE = join(ROOT, 'docs/configuration.md')

await runScript(HELP, async () => {
  const { values } = parseArgs({ options: { write: { type: 'boolean' }, help: { type: 'boolean' } } })
  if (values.help) return HELP
  const table = configurationTable()
  if (!values.write) return table
  const page = betweenMarkers(await readFile(PAGE, 'utf8'), CONFIGURATION_MARKERS, table)
  if (page === undefined) throw new UsageError('docs/configuration.md lacks its markers. Restore the page from git.')
  await writeWhole(PAGE, page)
  return 'Wrote docs/configuration.md.'
})
