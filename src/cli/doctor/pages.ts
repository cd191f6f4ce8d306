import type { Artifact } from '../../catalog/manifest.ts'
import { LIMITS } from '../../core/limits.ts'
import { blobKey } from '../../weights/blob.ts'
import { readAtMost } from '../../weights/body.ts'
import { base64Length } from '../../weights/pages/base64.ts'
import { type PagePlace, type PagesFile, pageKey, pagesIn, partsOf } from '../../weights/pages/layout.ts'
import type { Store } from '../../weights/store.ts'
import { listModels } from '../push/inventory.ts'
import { inParallel } from '../push/pool.ts'
import { counted } from '../terminal/format.ts'
import { type Check, fail, ok, warn } from './check.ts'

/** Pages of a file that are compared: all of them would be a download of the whole table, twice. */
const LOOKS = 8

/**
 * Checks the pages of the live versions' embedding tables: whether the bucket has all chunks of their files, and whether some
 * pages, evenly spread, are the same in both stores.
 * @throws store_unavailable
 */
export async function checkPages(truth: Store, copy: Store | undefined): Promise<Check[]> {
  const checks: Check[] = []
  const { models } = await listModels(truth)
  for (const { alias, versions } of models) {
    for (const { version, manifest } of versions) {
      for (const artifact of manifest?.artifacts ?? []) {
        if (artifact.pages === undefined) continue
        const area = `pages ${alias.model}`
        checks.push(await checkFile(area, `version ${version}, ${artifact.id}`, artifact.pages, truth, copy))
      }
    }
  }
  return checks
}

async function checkFile(
  area: string,
  what: string,
  file: NonNullable<Artifact['pages']>,
  truth: Store,
  copy: Store | undefined,
): Promise<Check> {
  const all = [...pagesIn(file)]
  let absent = 0
  const look = async ({ bytes, sha256 }: PagesFile['chunks'][number]): Promise<void> => {
    if ((await truth.head(blobKey(sha256)))?.bytes !== bytes) absent++
  }
  await inParallel(file.chunks, LIMITS.parallelFetches, look)
  if (absent > 0) {
    const finding = `${what}: R2 lacks ${absent} of ${counted(file.chunks.length, 'chunk')} of ${counted(all.length, 'page')}`
    return fail(area, finding, 'Push this version again: requests that need these pages fail if KV has no copy either.')
  }
  if (copy === undefined) return ok(area, `${what}: R2 has all ${counted(all.length, 'page')}`)
  const chosen = spread(all, LOOKS)
  let [missing, different] = [0, 0]
  const compare = async (page: PagePlace): Promise<void> => {
    const found = await copy.get(pageKey(file.sha256, page))
    if (found === null) {
      missing++
      return
    }
    const text = await readAtMost(found.body, base64Length(page.bytes))
    const expected = (await pageOf(truth, file, page)).toString('base64')
    if (text === null || Buffer.from(text).toString('latin1') !== expected) different++
  }
  await inParallel(chosen, LIMITS.parallelFetches, compare)
  if (different > 0) {
    const fix =
      'Requests verify each page, and read R2 where the copy is wrong. Push this version again, which corrects R2. If a copy ' +
      'is still different, push once with "hot": false in verge.json, which deletes all copies, and then as before.'
    return warn(area, `${what}: ${different} of ${chosen.length} pages are different in KV and R2`, fix)
  }
  const whole = `${what}: R2 has all ${counted(all.length, 'page')}`
  if (missing === 0) return ok(area, `${whole}; ${chosen.length} of them are the same in KV`)
  if (missing === chosen.length) return ok(area, `${whole}; KV has no copies, so that cold texts wait for reads of R2`)
  return warn(
    area,
    `${whole}; KV lacks ${missing} of ${chosen.length}`,
    'Push this version again: it copies what is missing.',
  )
}

/** Items from the first to the last. */
function spread<T>(items: readonly T[], most: number): T[] {
  if (items.length <= most) return [...items]
  return Array.from({ length: most }, (_, i) => items[Math.round((i * (items.length - 1)) / (most - 1))] as T)
}

/** The bytes of a page in the chunks of its file. */
async function pageOf(truth: Store, file: PagesFile, page: PagePlace): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for (const { chunk, from, to } of partsOf(file, page)) {
    const found = await truth.get(blobKey(chunk.sha256), { range: { offset: from, length: to - from } })
    const part = found && (await readAtMost(found.body, to - from))
    if (part !== null) parts.push(part)
  }
  return Buffer.concat(parts)
}
