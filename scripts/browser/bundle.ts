import { createHash } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, extname, join, relative, resolve } from 'node:path'
import { build, type Metafile, type Plugin } from 'esbuild'

const ROOT = join(import.meta.dirname, '../..')
/** Of the scripts and all that they load, in the folder that Workers Assets serve. */
const BROWSER_FOLDER = 'assets/browser'

/** The web worker's module. */
const WORKER = 'src/browser/worker/main.ts'

export interface BrowserBundle {
  /** Path of the web worker's script in the folder. */
  readonly workerScript: string
  /** The sizes of all scripts, and what each is made of. */
  readonly metafile: Metafile
}

/**
 * Bundles what runs in a visitor's browser: modules in `assets/browser/`, each part loaded when it is needed, under names
 * that have a digest of the content.
 * @param folder an empty one
 * @param entries modules by the names of their scripts
 */
export async function bundleBrowser(
  folder: string,
  entries: Readonly<Record<string, string>> = { worker: WORKER },
): Promise<BrowserBundle> {
  const out = join(folder, BROWSER_FOLDER)
  const { metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints: entries,
    outdir: out,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    minify: true,
    charset: 'utf8',
    metafile: true,
    logLevel: 'silent',
    entryNames: '[name]-[hash]',
    chunkNames: '[name]-[hash]',
    // Emscripten's script asks for them where it runs in Node, and nowhere else.
    external: ['module', 'worker_threads', 'node:*'],
    plugins: [filesByAddress(out), pureModules],
  })
  const [script] = Object.entries(metafile.outputs).find(([, { entryPoint }]) => entryPoint === WORKER) ?? []
  return { metafile, workerScript: script === undefined ? '' : relative(folder, resolve(ROOT, script)) }
}

/** `import url from 'file?url'`: the file lies beside the scripts, and the module has its address. */
function filesByAddress(out: string): Plugin {
  return {
    name: 'files-by-address',
    setup({ onLoad, onResolve }) {
      onResolve({ filter: /\?url$/ }, ({ importer, path, resolveDir }) => {
        const file = path.slice(0, -'?url'.length)
        const found = file.startsWith('.') ? resolve(resolveDir, file) : createRequire(importer).resolve(file)
        return { path: found, namespace: 'address' }
      })
      onLoad({ filter: /.*/, namespace: 'address' }, async ({ path }) => {
        const bytes = await readFile(path)
        const digest = createHash('sha256').update(bytes).digest('hex').slice(0, 12)
        const name = `${basename(path, extname(path))}-${digest}${extname(path)}`
        await mkdir(out, { recursive: true })
        await writeFile(join(out, name), bytes)
        return { contents: `export default new URL(${JSON.stringify(`./${name}`)}, import.meta.url).href` }
      })
    },
  }
}

/** Our own modules do nothing but define: one of which nothing is used is left out. */
const pureModules: Plugin = {
  name: 'pure-modules',
  setup({ onResolve }) {
    onResolve({ filter: /^\.\.?\/.*\.ts$/ }, ({ importer, path }) => ({
      path: resolve(dirname(importer), path),
      sideEffects: false,
    }))
  },
}
