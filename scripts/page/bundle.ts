import { cp } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build, type Rolldown } from 'vite'
import { overPageBudget, type PageChunk } from './budget.ts'

/** The playground's sources. */
const ROOT = join(import.meta.dirname, '../..')
const PAGE = join(ROOT, 'page')

/**
 * Bundles the playground: `index.html`, what it loads in `assets/page/` under names that have a digest of the content, and
 * `_headers`, which Workers Assets read.
 * @param folder an empty one
 * @param sources files and folders of the repository, which the page is built of anew when one of them changes
 * @throws an error if the scripts are over their budget, or hold a module that is not among the sources
 */
export async function bundlePage(folder: string, sources: readonly string[]): Promise<void> {
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
  const found = strangerIn(built, sources) ?? overPageBudget(chunksOf(built))
  if (found !== undefined) throw new Error(found)
  await cp(join(PAGE, '_headers'), join(folder, '_headers'))
}

type Built = Awaited<ReturnType<typeof build>>

function scriptsOf(built: Built): Rolldown.OutputChunk[] {
  const outputs: readonly Rolldown.RolldownOutput[] = [built].flat().filter((each) => 'output' in each)
  return outputs.flatMap(({ output }) => output.flatMap((file) => (file.type === 'chunk' ? [file] : [])))
}

function chunksOf(built: Built): PageChunk[] {
  return scriptsOf(built).map(({ code, fileName, imports, isEntry }) => ({
    name: fileName,
    gzipBytes: gzipSync(code).length,
    isEntry,
    imports,
  }))
}

/** A change of a module that is not among the sources would leave an old page. */
function strangerIn(built: Built, sources: readonly string[]): string | undefined {
  const modules = scriptsOf(built).flatMap(({ moduleIds }) => moduleIds.map((id) => relative(ROOT, id)))
  // Packages are in package-lock.json, and what the bundler makes begins with a zero byte.
  const own = modules.filter((id) => !/(?:^|\/)node_modules\/|^\.\.\/|\0/.test(id))
  const stranger = own.find((id) => !sources.some((source) => id === source || id.startsWith(`${source}/`)))
  return stranger && `The page holds ${stranger}, which is not among its sources. Add it in scripts/page/part.ts.`
}
