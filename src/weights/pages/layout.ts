import { VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import type { BlobInfo, ChunkInfo } from '../blob.ts'

/** Where a page lies in its file. */
export interface PagePlace {
  readonly offset: number
  readonly bytes: number
}

/** Pages of one table. They lie one after the other in the pages file, and the last one may be shorter. */
export interface PagedTable {
  /** In the pages file. */
  readonly offset: number
  /** Of each page but the last. */
  readonly pageBytes: number
  readonly pages: number
}

/** A file of pages beside an artifact. */
export interface PagesFile extends BlobInfo {
  /** In the order of their offsets, without gaps. */
  readonly tables: readonly PagedTable[]
}

/** What the copies of all pages begin with. */
export const PAGE_PREFIX = 'page/'

/** What the copies of one file's pages begin with. @param sha256 of the file */
export function pagesPrefix(sha256: string): string {
  return `${PAGE_PREFIX}${sha256}/`
}

/**
 * Where the copy of a page lies: it is found without a list of the pages' digests, which only the artifact has. The same file
 * may be cut into pages of another size, and each reader finds its own.
 */
export function pageKey(sha256: string, { bytes, offset }: PagePlace): string {
  return `${pagesPrefix(sha256)}${offset}/${bytes}`
}

/**
 * Checks the declaration of a pages file.
 * @throws manifest_invalid
 */
export function checkPages({ bytes, tables }: PagesFile, limits: Pick<Limits, 'pageBytes'>): void {
  let end = 0
  for (const [index, { offset, pageBytes, pages }] of tables.entries()) {
    const next = tables[index + 1]?.offset ?? bytes
    const size = next - offset
    const fits = pageBytes > 0 && pageBytes <= limits.pageBytes && Math.ceil(size / pageBytes) === pages
    if (offset !== end || size <= 0 || !fits) {
      throw new VergeError(
        'manifest_invalid',
        `Table ${index + 1} of the pages is declared with ${pages} pages of ${pageBytes} bytes at byte ${offset}, in ${size} bytes. Pack this version again.`,
      )
    }
    end = next
  }
  if (end !== bytes) {
    throw new VergeError(
      'manifest_invalid',
      `The pages are declared with ${bytes} bytes, but no table has them. Pack this version again.`,
    )
  }
}

/** Every page of a file that was checked. */
export function* pagesIn({ bytes, tables }: PagesFile): Generator<PagePlace> {
  for (const [index, { offset, pageBytes, pages }] of tables.entries()) {
    const end = tables[index + 1]?.offset ?? bytes
    for (let i = 0; i < pages; i++) {
      const from = offset + i * pageBytes
      yield { offset: from, bytes: Math.min(pageBytes, end - from) }
    }
  }
}

/** The parts of a page in the chunks of its file: one, unless chunks were cut elsewhere than between pages. */
export function* partsOf(
  { chunks }: BlobInfo,
  { bytes, offset }: PagePlace,
): Generator<{ readonly chunk: ChunkInfo; readonly from: number; readonly to: number }> {
  let begin = 0
  for (const chunk of chunks) {
    const [from, to] = [Math.max(offset - begin, 0), Math.min(offset + bytes - begin, chunk.bytes)]
    if (from < to) yield { chunk, from, to }
    begin += chunk.bytes
  }
}

/** Neighbours in groups of at most so many pages and bytes; a larger page is alone. */
export function* batchesOf<P extends PagePlace>(
  pages: readonly P[],
  mostPages: number,
  mostBytes: number,
): Generator<readonly P[]> {
  let from = 0
  let sum = 0
  for (const [i, { bytes }] of pages.entries()) {
    if (i > from && (i - from === mostPages || sum + bytes > mostBytes)) {
      yield pages.slice(from, i)
      from = i
      sum = 0
    }
    sum += bytes
  }
  if (from < pages.length) yield pages.slice(from)
}
