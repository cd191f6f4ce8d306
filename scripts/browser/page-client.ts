import { join } from 'node:path'
import { build } from 'esbuild'

const ROOT = join(import.meta.dirname, '../..')

/**
 * Bundles the page's client as one module, `browser.js`, which knows where the web worker's script of its own release lies.
 * @param folder that is served
 * @param workerScript its path in the folder
 */
export async function bundlePageClient(folder: string, workerScript: string): Promise<void> {
  await build({
    absWorkingDir: ROOT,
    entryPoints: ['src/browser/client/index.ts'],
    outfile: join(folder, 'browser.js'),
    bundle: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    minify: true,
    charset: 'utf8',
    define: { VERGE_WORKER_SCRIPT: JSON.stringify(`./${workerScript}`) },
    logLevel: 'silent',
  })
}
