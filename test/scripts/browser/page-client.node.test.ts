import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { bundlePageClient } from '../../../scripts/browser/page-client.ts'

describe('bundlePageClient', () => {
  it('makes one module under 13 KB in gzip, which knows the web worker of its release', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'verge-browser-'))
    try {
      await bundlePageClient(folder, 'assets/browser/worker-1.js')
      const path = join(folder, 'browser.js')
      const text = await readFile(path, 'utf8')
      expect(gzipSync(text).length).toBeLessThan(13_000)
      expect(text).not.toMatch(/\bimport\s*["'{]/)
      const { href } = pathToFileURL(path)
      const built = (await import(/* @vite-ignore */ href)) as Record<string, unknown>
      expect(Object.keys(built).sort()).toEqual(['VergeError', 'WORKER_SCRIPT', 'createBrowserClient', 'createClient'])
      expect(built.WORKER_SCRIPT).toBe(new URL('./assets/browser/worker-1.js', href).href)
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
