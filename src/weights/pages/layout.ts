import { VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import type { BlobInfo } from '../blob.ts'

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
export function pageKey(
  sha256: string,
  { bytes, offset }: { readonly bytes: number; readonly offset: number },
): string {
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
export function* pagesIn({ bytes, tables }: PagesFile): Generator<{ readonly offset: number; readonly bytes: number }> {
  for (const [index, { offset, pageBytes, pages }] of tables.entries()) {
    const end = tables[index + 1]?.offset ?? bytes
    for (let i = 0; i < pages; i++) {
      const from = offset + i * pageBytes
      yield { offset: from, bytes: Math.min(pageBytes, end - from) }
    }
  }
}
