/** What a visitor downloads before a model of Verge's own engine runs in the browser. */
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type BrowserBundle, bundleBrowser } from '../../../scripts/browser/bundle.ts'
import { bundlePageClient } from '../../../scripts/browser/page-client.ts'
import {
  BOTH_SIDES,
  BOTH_SIDES_GZIP_BYTES,
  FIRST_LOAD_GZIP_BYTES,
  firstLoadOf,
  LOADED_LATER,
} from '../../../scripts/checks/browser-budget.ts'
import { TASKS } from '../../../src/catalog/manifest.ts'

const MiB = 1024 * 1024

let folder: string
let bundle: BrowserBundle
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verge-budget-'))
  bundle = await bundleBrowser(folder)
  await bundlePageClient(folder, bundle.scripts.worker ?? '')
}, 120_000)
afterAll(() => rm(folder, { recursive: true, force: true }))

describe('the scripts for browsers', () => {
  it.each(TASKS.filter((task) => task !== 'text-generation'))(
    'are small for a model of Verge’s own engine that does %s, and leave the rest for later',
    async (task) => {
      const { gzipBytes, modules } = await firstLoadOf(folder, bundle.metafile, task)
      expect(gzipBytes).toBeGreaterThan(80_000)
      const both = BOTH_SIDES.includes(task)
      expect(gzipBytes).toBeLessThanOrEqual(both ? BOTH_SIDES_GZIP_BYTES : FIRST_LOAD_GZIP_BYTES)
      expect(modules).toContain('src/engine/verge/engine.ts')
      for (const name of LOADED_LATER) {
        expect(modules.filter((path) => path.includes(`node_modules/${name}/`))).toEqual([])
      }
      // A model of texts needs no pictures, and the reverse.
      const media = ['src/media/image/', 'src/media/text/', 'src/media/audio/'].filter((room) =>
        modules.some((path) => path.startsWith(room) && !path.endsWith('/format.ts')),
      )
      expect(media.length).toBeLessThanOrEqual(both ? 2 : 1)
    },
  )

  it('are files that Workers Assets take, the same for the same sources', async () => {
    const other = await mkdtemp(join(tmpdir(), 'verge-budget-'))
    try {
      await bundleBrowser(other)
      const names = (await readdir(join(folder, 'assets/browser'))).sort()
      expect((await readdir(join(other, 'assets/browser'))).sort()).toEqual(names)
      for (const name of names) {
        const path = join(folder, 'assets/browser', name)
        expect((await stat(path)).size).toBeLessThan(25 * MiB)
        expect((await readFile(path)).equals(await readFile(join(other, 'assets/browser', name)))).toBe(true)
        expect(name).toMatch(/-[A-Za-z0-9]{8,}\.(js|wasm|wasm\.gz)$/)
      }
    } finally {
      await rm(other, { recursive: true, force: true })
    }
  })
})
