import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ROOT } from '../../src/cli/files/project.ts'
import type { CompatibilityRow, WorkingRow } from './row.ts'

/** What is wrong with the proofs of rows, a line each: a test that does not exist, or that may be skipped. */
export async function wrongProofs(
  rows: readonly CompatibilityRow[],
  read: (path: string) => Promise<string | undefined> = readRepository,
): Promise<string[]> {
  const wrong: string[] = []
  for (const row of rows) {
    if (row.state !== 'works') continue
    const problem = problemOf(row, await read(row.proof.file))
    if (problem !== undefined) wrong.push(`${row.group}, ${row.what}: ${problem}`)
  }
  return wrong
}

function problemOf({ proof: { file, test } }: WorkingRow, source: string | undefined): string | undefined {
  if (source === undefined) return `${file} does not exist`
  const title = test.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/['"`]/g, '\\\\?[\'"`]')
  const place = new RegExp(`[\\w)]\\(\\s*(['"\`])${title}\\1`).exec(source)?.index
  // The call whose title it is; a table of cases may lie between.
  const call = [...source.slice(0, place === undefined ? 0 : place + 1).matchAll(CALL)].at(-1)
  if (call === undefined || !['it', 'test'].includes(call[1] ?? '')) return `${file} has no test "${test}"`
  if (/\b(?:skip|skipIf|runIf|todo|fails)\b/.test(call[2] ?? '')) return `the test "${test}" of ${file} may be skipped`
  return /\bdescribe\.(?:skip|todo)\b/.test(source.slice(0, call.index)) ? `${file} skips tests` : undefined
}

/** A call at the beginning of a line that may have a title: its name, and what follows the name. */
const CALL = /(?<=^|[{;]\s)[ \t]*(\w+)((?:\.\w+(?:\([^\n()]*\))?)*)(?=\(|$)/gm

async function readRepository(path: string): Promise<string | undefined> {
  try {
    return await readFile(join(ROOT, path), 'utf8')
  } catch {
    return undefined
  }
}
