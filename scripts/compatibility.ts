import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { betweenMarkers } from '../src/cli/files/markers.ts'
import { ROOT } from '../src/cli/files/project.ts'
import { writeWhole } from '../src/cli/files/whole-file.ts'
import { runScript, UsageError } from '../src/cli/terminal/command-line.ts'
import { COMPATIBILITY_MARKERS, compatibilityText } from './compatibility/document.ts'
import { installedVersions, loadRows } from './compatibility/load.ts'

const HELP = `Prints what clients of other services can do with Verge, in Markdown.

Usage: node scripts/compatibility.ts [options]

  --write    write it into docs/compatibility.md
  --help     this text`

const PAGE = join(ROOT, 'docs/compatibility.md')

await runScript(HELP, async () => {
  const { values } = parseArgs({ options: { write: { type: 'boolean' }, help: { type: 'boolean' } } })
  if (values.help) return HELP
  const text = compatibilityText(await loadRows(), await installedVersions())
  if (!values.write) return text
  const page = betweenMarkers(await readFile(PAGE, 'utf8'), COMPATIBILITY_MARKERS, text)
  if (page === undefined) throw new UsageError('docs/compatibility.md lacks its markers. Restore the page from git.')
  await writeWhole(PAGE, page)
  return 'Wrote docs/compatibility.md.'
})
