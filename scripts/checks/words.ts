import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ROOT } from '../../src/cli/files/project.ts'
import { ownFiles } from './own-files.ts'
import { type FoundWord, wordsInDocument, wordsInMessages, wordsInNames } from './word-rules.ts'

const MODULES = ['src', 'scripts', 'bench', 'page', 'synthetic', 'examples']
const DOCUMENTS = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md']
/** It says which word replaces which. */
const GLOSSARY = 'docs/glossary.md'

const wrong: string[] = []
let checked = 0

async function check(path: string, find: (source: string) => FoundWord[]): Promise<void> {
  checked++
  for (const { line, word, instead } of find(await readFile(join(ROOT, path), 'utf8'))) {
    wrong.push(`${path}:${line}: "${word}". Write instead: ${instead}`)
  }
}

const filesIn = async (folder: string, ending: RegExp): Promise<string[]> =>
  (await ownFiles(folder)).filter((path) => ending.test(path))

const documents = [...(await filesIn('docs', /\.md$/)), ...(await filesIn('examples', /\.md$/))].filter(
  (path) => path !== GLOSSARY,
)
for (const path of [...DOCUMENTS, ...documents.sort()]) await check(path, wordsInDocument)
for (const folder of MODULES) {
  for (const path of await filesIn(folder, /\.tsx?$/)) {
    // The list itself.
    if (path === 'scripts/checks/word-rules.ts') continue
    await check(path, (source) => [...wordsInMessages(path, source), ...wordsInNames(path, source)])
  }
}

if (wrong.length > 0) {
  console.error(
    `Words that names, messages and documents avoid (scripts/checks/word-rules.ts has the list):\n${wrong.join('\n')}`,
  )
  process.exitCode = 1
} else console.log(`Checked the words of ${checked} documents and modules.`)
