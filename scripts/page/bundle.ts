import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build, type Rolldown } from 'vite'
import { overPageBudget, type PageChunk } from './budget.ts'

/** The playground's sources. */
const PAGE = join(import.meta.dirname, '../../page')

/**
 * Bundles the playground: `index.html`, what it loads in `assets/page/` under names that have a digest of the content, and
 * `_headers`, which Workers Assets read.
 * @param folder an empty one
 * @throws an error if the scripts are over their budget
 */
export async function bundlePage(folder: string): Promise<void> {
  const built = await build({
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
  const found = overPageBudget(chunksOf(built))
  if (found !== undefined) throw new Error(found)
  await cp(join(PAGE, '_headers'), join(folder, '_headers'))
}

function chunksOf(built: Awaited<ReturnType<typeof build>>): PageChunk[] {
  const outputs: readonly Rolldown.RolldownOutput[] = [built].flat().filter((each) => 'output' in each)
  return outputs.flatMap(({ output }) =>
    output.flatMap((file) =>
      file.type === 'chunk'
        ? [
            {
              name: file.fileName,
              gzipBytes: gzipSync(file.code).length,
              isEntry: file.isEntry,
              imports: file.imports,
            },
          ]
        : [],
    ),
  )
}
