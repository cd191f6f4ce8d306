import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ROOT } from '../../src/cli/files/project.ts'
import type { CompatibilityRow, WorkingRow } from '../../test/compatibility/row.ts'

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
  const call = new RegExp(`(?<![\\w.])(?:it|test)((?:\\.\\w+(?:\\([^\\n]*\\))?)*)\\(\\s*(['"\`])${title}\\2`).exec(
    source,
  )
  if (call === null) return `${file} has no test "${test}"`
  if (/\.(?:skip|skipIf|runIf|todo|fails)\b/.test(call[1] ?? '')) return `the test "${test}" of ${file} may be skipped`
  return /\bdescribe\.(?:skip|todo)\b/.test(source.slice(0, call.index)) ? `${file} skips tests` : undefined
}

async function readRepository(path: string): Promise<string | undefined> {
  try {
    return await readFile(join(ROOT, path), 'utf8')
  } catch {
    return undefined
  }
}
