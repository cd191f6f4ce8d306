import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ALL_BYTES, FIRST_BYTES, overPageBudget, type PageChunk } from '../../../scripts/page/budget.ts'
import { bundlePage } from '../../../scripts/page/bundle.ts'
import { PAGE_PART } from '../../../scripts/page/part.ts'

const chunk = (name: string, gzipBytes: number, imports: readonly string[] = [], isEntry = false): PageChunk => ({
  name,
  gzipBytes,
  isEntry,
  imports,
})

describe('the budget of the page', () => {
  it('counts what the entry needs, once, and not what it loads later', () => {
    const shared = chunk('shared', FIRST_BYTES / 2)
    const entry = chunk('entry', FIRST_BYTES / 2, ['shared', 'between'], true)
    const chunks = [entry, shared, chunk('between', 0, ['shared', 'entry']), chunk('later', FIRST_BYTES)]
    expect(overPageBudget(chunks)).toBeUndefined()
    expect(overPageBudget([...chunks.slice(0, 2), chunk('between', 1, ['shared']), ...chunks.slice(3)])).toMatch(
      new RegExp(`downloads ${FIRST_BYTES + 1} bytes .* before it shows anything`),
    )
  })

  it('counts everything, too, and notices a page without scripts', () => {
    expect(overPageBudget([chunk('entry', 1, [], true), chunk('later', ALL_BYTES)])).toMatch(/in all; its budget is/)
    expect(overPageBudget([])).toBe('The page has no script.')
  })
})

describe('the bundle of the page', () => {
  it('is within its budget, and has nothing inline that its policy would refuse', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'verge-page-'))
    try {
      await PAGE_PART.build(folder)
      const html = await readFile(join(folder, 'index.html'), 'utf8')
      expect(html).not.toMatch(/<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)/)
      // A file on another server could not be loaded.
      expect(html).not.toMatch(/(?:src|href)="(?:https?:|\/\/)/)
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  it('holds nothing that could change without a new page', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'verge-page-'))
    try {
      const some = PAGE_PART.sources.filter((source) => source !== 'src/core')
      await expect(bundlePage(folder, some)).rejects.toThrow(/holds src\/core\/\S+, which is not among its sources/)
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
