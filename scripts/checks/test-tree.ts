import { readdir } from 'node:fs/promises'
import { join, sep } from 'node:path'
import { ROOT } from '../../src/cli/files/project.ts'
import { misplacedTests } from './test-places.ts'

const paths: string[] = []
for (const folder of ['src', 'test', 'scripts', 'bench', 'deploy', 'docs', 'page']) {
  const names = await readdir(join(ROOT, folder), { recursive: true })
  paths.push(...names.map((name) => `${folder}/${name.split(sep).join('/')}`).sort())
}

const wrong = misplacedTests(paths)
if (wrong.length > 0) {
  console.error(
    `Tests that are not where their module is (CONTRIBUTING.md says how tests are named):\n${wrong.join('\n')}`,
  )
  process.exitCode = 1
} else console.log(`Checked the places of ${paths.filter((path) => path.endsWith('.test.ts')).length} files of tests.`)
