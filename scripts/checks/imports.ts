import { readdir, readFile } from 'node:fs/promises'
import { join, sep } from 'node:path'
import { ROOT } from '../../src/cli/files/project.ts'
import { violations } from './import-rules.ts'

const folder = join(ROOT, 'src')
const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.ts')).sort()
const found: string[] = []
for (const name of names)
  found.push(...violations(name.split(sep).join('/'), await readFile(join(folder, name), 'utf8')))

if (found.length > 0) {
  console.error(
    `Imports that point the wrong way (the table is in scripts/checks/import-rules.ts):\n${found.join('\n')}`,
  )
  process.exitCode = 1
} else {
  console.log(`Checked the imports of ${names.length} modules. They all point downwards.`)
}
