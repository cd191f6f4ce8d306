import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { betweenMarkers } from '../files/markers.ts'
import { ROOT } from '../files/project.ts'
import { writeWhole } from '../files/whole-file.ts'
import { runScript, UsageError } from '../terminal/command-line.ts'
import { ENGINE_MARKERS, operatorTable } from './table.ts'

const HELP = `Prints the table of the operators of Verge's own engine, in Markdown.

Usage: node scripts/engine.ts [options]

  --write    write the table into docs/engine.md
  --help     this text`

const PAGE = join(ROOT, 'docs/engine.md')

await runScript(HELP, async () => {
  const { values } = parseArgs({ options: { write: { type: 'boolean' }, help: { type: 'boolean' } } })
  if (values.help) return HELP
  const table = operatorTable()
  if (!values.write) return table
  const page = betweenMarkers(await readFile(PAGE, 'utf8'), ENGINE_MARKERS, table)
  if (page === undefined) throw new UsageError('docs/engine.md has lost its markers. Restore the page from git.')
  await writeWhole(PAGE, page)
  return 'Wrote docs/engine.md.'
})
