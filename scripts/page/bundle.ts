import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { build } from 'vite'

/** The playground's sources. */
const PAGE = join(import.meta.dirname, '../../page')

/**
 * Bundles the playground: `index.html`, what it loads in `assets/page/` under names that have a digest of the content, and
 * `_headers`, which Workers Assets read.
 * @param folder an empty one
 */
export async function bundlePage(folder: string): Promise<void> {
  await build({
    root: PAGE,
    configFile: false,
    envDir: false,
    logLevel: 'warn',
    // The document and its assets lie on one server, at its root.
    base: '/',
    publicDir: false,
    oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
    build: {
      outDir: folder,
      emptyOutDir: false,
      assetsDir: 'assets/page',
      // A data: address would need a wider Content-Security-Policy.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      target: 'es2022',
      reportCompressedSize: false,
    },
  })
  await cp(join(PAGE, '_headers'), join(folder, '_headers'))
}
