import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../../src/core/limits.ts'
import { batchesOf, checkPages, type PagedTable, pageKey, pagesIn, partsOf } from '../../../src/weights/pages/layout.ts'

const sha256 = 'a'.repeat(64)
const fileOf = (bytes: number, ...tables: PagedTable[]) => ({ sha256, bytes, chunks: [], tables })

describe('the layout of a pages file', () => {
  it('names every page of every table, and shortens the last one', () => {
    const file = fileOf(2_650, { offset: 0, pageBytes: 1_000, pages: 2 }, { offset: 1_500, pageBytes: 400, pages: 3 })
    expect(() => checkPages(file, LIMITS)).not.toThrow()
    expect([...pagesIn(file)].map(({ offset, bytes }) => [offset, bytes])).toEqual([
      [0, 1_000],
      [1_000, 500],
      [1_500, 400],
      [1_900, 400],
      [2_300, 350],
    ])
    expect(pageKey(sha256, { offset: 1_500, bytes: 300 })).toBe(`page/${sha256}/1500/300`)
  })

  it('says where a page lies in the chunks of its file', () => {
    const chunks = [300, 200, 500].map((bytes, index) => ({ sha256: String(index).repeat(64), bytes }))
    const placesOf = (offset: number, bytes: number) =>
      [...partsOf({ sha256, bytes: 1_000, chunks }, { offset, bytes })].map(({ chunk, from, to }) => [
        chunks.indexOf(chunk),
        from,
        to,
      ])
    expect(placesOf(100, 200)).toEqual([[0, 100, 300]])
    expect(placesOf(500, 500)).toEqual([[2, 0, 500]])
    expect(placesOf(250, 300)).toEqual([
      [0, 250, 300],
      [1, 0, 200],
      [2, 0, 50],
    ])
  })

  it('groups pages by number and by bytes, a large one alone', () => {
    const pages = [10, 20, 30, 95, 5, 5, 5, 5].map((bytes) => ({ offset: 0, bytes }))
    const sizes = [...batchesOf(pages, 3, 60)].map((batch) => batch.map(({ bytes }) => bytes))
    expect(sizes).toEqual([[10, 20, 30], [95], [5, 5, 5], [5]])
    expect([...batchesOf(pages, 3, 59)][0]).toHaveLength(2)
    expect([...batchesOf([], 3, 60)]).toEqual([])
  })

  it('refuses tables with gaps, too few or too many pages, or pages above the limit', () => {
    const wrong: readonly (readonly [number, ...PagedTable[]])[] = [
      [100],
      [1_000, { offset: 1, pageBytes: 1_000, pages: 1 }],
      [1_000, { offset: 0, pageBytes: 500, pages: 1 }],
      [1_000, { offset: 0, pageBytes: 500, pages: 3 }],
      [1_000, { offset: 0, pageBytes: 500, pages: 2 }, { offset: 1_000, pageBytes: 500, pages: 1 }],
      [1_000, { offset: 500, pageBytes: 500, pages: 1 }, { offset: 0, pageBytes: 500, pages: 1 }],
      [LIMITS.pageBytes + 1, { offset: 0, pageBytes: LIMITS.pageBytes + 1, pages: 1 }],
    ]
    for (const [bytes, ...tables] of wrong) {
      expect(() => checkPages(fileOf(bytes, ...tables), LIMITS), JSON.stringify(tables)).toThrow(
        /Pack this version again/,
      )
    }
  })
})
