import { describe, expect, it } from 'vitest'
import { VergeError } from '../../src/core/errors.ts'
import type { PageInfo } from '../../src/engine/engine.ts'
import type { PageLayer, WantedPage } from '../../src/weights/pages/page-layer.ts'
import type { PagedBytes, PagedOptions } from '../fixtures/paged-file.ts'

/** A layer under test, with what the tests need to store. */
export interface PageLayerSubject {
  readonly layer: PageLayer
  /** Makes a file of pages of its own. */
  make(options: PagedOptions): Promise<PagedBytes>
  /** Stores all pages of a file. */
  store(file: PagedBytes): Promise<void>
  /** Removes what the layer has at a page. @returns the pages that are gone with it */
  remove(file: PagedBytes, page: PageInfo): Promise<readonly PageInfo[]>
  /** Changes a byte of a page. */
  spoil(file: PagedBytes, page: PageInfo): Promise<void>
}

/** What came of a read. */
export interface Outcome {
  /** By the page's place among those that were asked for. */
  readonly found: ReadonlyMap<number, Uint8Array>
  readonly faults: ReadonlyMap<number, string>
}

/** Reads pages and checks that each comes out once. */
export async function readPages(
  layer: PageLayer,
  { file }: PagedBytes,
  pages: readonly PageInfo[],
  signal: AbortSignal = new AbortController().signal,
): Promise<Outcome> {
  const found = new Map<number, Uint8Array>()
  const faults = new Map<number, string>()
  const once = ({ index }: WantedPage): void => {
    if (found.has(index) || faults.has(index)) throw new Error(`page ${index} came out twice`)
  }
  const wanted = pages.map((page, index) => ({ ...page, index }))
  await layer.read(
    file,
    wanted,
    {
      async found(page, bytes) {
        once(page)
        found.set(page.index, bytes.slice())
      },
      fault(page, { kind }) {
        once(page)
        faults.set(page.index, kind)
      },
    },
    signal,
  )
  expect(found.size + faults.size).toBe(pages.length)
  return { found, faults }
}

/** Whether all pages that were found have the bytes of the file. */
export function expectBytes({ data }: PagedBytes, pages: readonly PageInfo[], { found }: Outcome): void {
  for (const [index, bytes] of found) {
    const { offset, bytes: length } = pages[index] ?? { offset: 0, bytes: 0 }
    expect(Buffer.compare(bytes, data.subarray(offset, offset + length)), `page ${index}`).toBe(0)
  }
}

/** What every place that has pages has to do. */
export function pageLayerContract(name: string, setUp: () => PageLayerSubject): void {
  describe(`pages: ${name}`, () => {
    const small = { pages: 40, pageBytes: 1_500, chunkBytes: 15_000, lastBytes: 700 }

    it('finds pages anywhere in the file, in any order, the shorter last one and repeated ones', async () => {
      const { layer, make, store } = setUp()
      const paged = await make(small)
      await store(paged)
      const pages = [39, 0, 17, 17, 9, 10, 38].flatMap((index) => paged.pages[index] ?? [])
      const outcome = await readPages(layer, paged, pages)
      expect(outcome.found.size).toBe(7)
      expectBytes(paged, pages, outcome)
      expect(outcome.found.get(0)?.length).toBe(700)
    })

    it('finds nothing where nothing is asked for', async () => {
      const { layer, make } = setUp()
      expect((await readPages(layer, await make(small), [])).found.size).toBe(0)
    })

    it('finds thousands of pages', async () => {
      const { layer, make, store } = setUp()
      const paged = await make({ pages: 2_345, pageBytes: 400, chunkBytes: 200_000 })
      await store(paged)
      const outcome = await readPages(layer, paged, paged.pages)
      expect(outcome.found.size).toBe(2_345)
      expectBytes(paged, paged.pages, outcome)
    })

    it('reports what is missing, and finds the others', async () => {
      const { layer, make, remove, store } = setUp()
      const paged = await make(small)
      await store(paged)
      const gone = await remove(paged, paged.pages[12] as PageInfo)
      const { found, faults } = await readPages(layer, paged, paged.pages)
      const expected = gone.map((page) => paged.pages.indexOf(page))
      expect([...faults.keys()].sort((a, b) => a - b)).toEqual(expected)
      expect(new Set(faults.values())).toEqual(new Set(['missing']))
      expect(found.size).toBe(40 - gone.length)
    })

    it('hands out a spoilt page as it is: whoever reads it verifies it', async () => {
      const { layer, make, spoil, store } = setUp()
      const paged = await make(small)
      await store(paged)
      await spoil(paged, paged.pages[3] as PageInfo)
      const { found } = await readPages(layer, paged, paged.pages)
      const page = paged.data.subarray(4_500, 6_000)
      expect(found.get(3)?.length).toBe(1_500)
      expect(found.get(3)).not.toEqual(page)
    })

    it('refuses a read whose signal has fired, and ends one whose signal fires meanwhile', async () => {
      const { layer, make, store } = setUp()
      const paged = await make(small)
      await store(paged)
      const late = new VergeError('deadline_exceeded', 'Too late.')
      await expect(readPages(layer, paged, paged.pages, AbortSignal.abort(late))).rejects.toBe(late)
      const controller = new AbortController()
      const reading = readPages(layer, paged, paged.pages, controller.signal)
      controller.abort(late)
      await expect(reading).rejects.toBe(late)
    })

    it('ends with what its sink throws, and uses the sink no more after that', async () => {
      const { layer, make, store } = setUp()
      const paged = await make(small)
      await store(paged)
      let calls = 0
      let over = false
      const failure = new Error('no room')
      const reading = layer.read(
        paged.file,
        paged.pages.map((page, index) => ({ ...page, index })),
        {
          async found() {
            expect(over).toBe(false)
            if (++calls === 3) throw failure
          },
          fault() {},
        },
        new AbortController().signal,
      )
      await expect(reading).rejects.toBe(failure)
      over = true
      const made = calls
      await new Promise((resolve) => setTimeout(resolve, 20))
      expect(calls).toBe(made)
    })
  })
}
