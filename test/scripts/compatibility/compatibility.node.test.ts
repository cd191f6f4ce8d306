import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { COMPATIBILITY_MARKERS, compatibilityText } from '../../../scripts/compatibility/document.ts'
import { installedVersions, loadModels, loadRows } from '../../../scripts/compatibility/load.ts'
import { wrongProofs } from '../../../scripts/compatibility/proofs.ts'
import { betweenMarkers } from '../../../src/cli/files/markers.ts'
import { ROOT } from '../../../src/cli/files/project.ts'
import type { WorkingRow } from '../../compatibility/row.ts'

const rows = await loadRows()

describe('the rows', () => {
  it('are in docs/compatibility.md as they are', async () => {
    const page = await readFile(join(ROOT, 'docs/compatibility.md'), 'utf8')
    const text = compatibilityText(rows, await installedVersions())
    // `node scripts/compatibility.ts --write` writes it.
    expect(page).toBe(betweenMarkers(page, COMPATIBILITY_MARKERS, text))
  })

  it('are proved by tests that exist and are not skipped', async () => {
    expect(await wrongProofs(rows)).toEqual([])
  })

  it('are each told once', () => {
    const names = rows.map(({ group, what }) => `${group}: ${what}`)
    expect(names.filter((name, place) => names.indexOf(name) !== place)).toEqual([])
  })

  it('have commands that name the address of the Worker', () => {
    const commands = rows.flatMap((row) => (row.state === 'works' ? [row.curl] : []))
    expect(commands.length).toBeGreaterThan(0)
    expect(commands.filter((command) => !command.includes('$VERGE/'))).toEqual([])
  })

  it('name each model, file and foreign name of theirs once', async () => {
    const modules = await loadModels()
    for (const part of ['models', 'names'] as const) {
      const names = modules.flatMap((module) => Object.keys(module[part] ?? {}))
      expect(names.filter((name, place) => names.indexOf(name) !== place)).toEqual([])
    }
    const files = new Map<string, Uint8Array>()
    for (const [name, make] of modules.flatMap(({ samples }) => Object.entries(samples ?? {}))) {
      const bytes = new Uint8Array(await make())
      expect(files.get(name) ?? bytes, name).toEqual(bytes)
      files.set(name, bytes)
    }
  })
})

describe('proofs', () => {
  const row = (test: string): WorkingRow => ({
    group: 'openai',
    what: 'it',
    state: 'works',
    client: 'openai',
    proof: { file: 'a.test.ts', test },
    curl: 'curl $VERGE/',
  })
  const problems = (test: string, source: string | undefined) => wrongProofs([row(test)], async () => source)

  it.each([
    ["it('works (really)', () => {})"],
    ["  it.each(CASES)('works (really)', () => {})"],
    ["it(\n    'works (really)',\n    () => {})"],
    ["it.each([\n    ['a', 1],\n    ['b', 2],\n  ] as const)('works (really)', () => {})"],
    ["describe('a', () => {\n  test(`works (really)`, () => {})\n})"],
  ])('are found: %j', async (source) => {
    expect(await problems('works (really)', source)).toEqual([])
  })

  it.each([
    [undefined, 'does not exist'],
    ["it('works', () => {})", 'has no test'],
    ["const title = 'works (really)'", 'has no test'],
    ["visit('works (really)', () => {})", 'has no test'],
    ["it.skip('works (really)', () => {})", 'may be skipped'],
    ["it.skipIf(!have)('works (really)', () => {})", 'may be skipped'],
    ["it.todo('works (really)')", 'may be skipped'],
    ["it.skip.each([\n    ['a'],\n  ])('works (really)', () => {})", 'may be skipped'],
    ["it.each([\n    ['a'],\n  ])('works', () => {})\nlog('works (really)')", 'has no test'],
    ["describe.skip('all', () => { it('works (really)', () => {}) })", 'skips tests'],
  ])('are not taken from %j', async (source, problem) => {
    expect(await problems('works (really)', source)).toEqual([expect.stringContaining(problem)])
  })
})
