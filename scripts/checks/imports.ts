import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ROOT } from '../../src/cli/files/project.ts'
import { ambientUses } from './ambient-use.ts'
import { importCycles } from './import-cycles.ts'
import { violations } from './import-rules.ts'
import { importsOf } from './module-imports.ts'
import { ownFiles } from './own-files.ts'

const FOLDERS = ['src', 'scripts', 'bench', 'page', 'synthetic', 'test', 'examples']

const paths = ['vitest.config.ts', 'vitest.full.config.ts']
for (const folder of FOLDERS) {
  paths.push(...(await ownFiles(folder)).filter((path) => /\.m?[jt]sx?$/.test(path)))
}

const wrong: string[] = []
const ambient: string[] = []
const graph = new Map<string, string[]>()
for (const path of paths.sort()) {
  const source = await readFile(join(ROOT, path), 'utf8')
  wrong.push(...violations(path, source))
  ambient.push(...ambientUses(path, source))
  const byValue = importsOf(path, source).filter((one) => one.byValue)
  graph.set(
    path,
    byValue.flatMap(({ target }) => target ?? []),
  )
}
const cycles = importCycles(graph).map((cycle) => cycle.join(' -> '))

if (wrong.length > 0) {
  console.error(`Imports that point the wrong way (scripts/checks/rooms.ts has the rules):\n${wrong.join('\n')}`)
}
if (cycles.length > 0) console.error(`Modules that import each other by value:\n${cycles.join('\n')}`)
if (ambient.length > 0) {
  console.error(
    `Modules that take time or randomness from the runtime (scripts/checks/ambient-use.ts):\n${ambient.join('\n')}`,
  )
}
if (wrong.length > 0 || cycles.length > 0 || ambient.length > 0) process.exitCode = 1
else console.log(`Checked the imports of ${paths.length} modules. All follow the rules, without cycles.`)
