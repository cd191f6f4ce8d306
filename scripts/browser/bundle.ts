import { createHash } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build, type Metafile, type Plugin } from 'esbuild'

const ROOT = join(import.meta.dirname, '../..')
/** Of the scripts and all that they load, in the folder that Workers Assets serve. */
const BROWSER_FOLDER = 'assets/browser'

/** The web worker's module. */
const WORKER = 'src/browser/worker/main.ts'

export interface BrowserBundle {
  /** The sizes of all scripts, and what each is made of. */
  readonly metafile: Metafile
  /** Paths in the folder of the entries' scripts, by their names. */
  readonly scripts: Readonly<Record<string, string>>
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
  const scripts = Object.entries(metafile.outputs).flatMap(([path, { entryPoint }]) => {
    const name = Object.keys(entries).find((each) => entries[each] === entryPoint)
    return name === undefined ? [] : [[name, `${BROWSER_FOLDER}/${basename(path)}`]]
  })
  return { metafile, scripts: Object.fromEntries(scripts) }
}

/** `import url from 'file?url'`, or `file?gzip`: the file lies beside the scripts, and the module has its address. */
function filesByAddress(out: string): Plugin {
  return {
    name: 'files-by-address',
    setup({ onLoad, onResolve }) {
      onResolve({ filter: /\?(url|gzip)$/ }, ({ importer, path, resolveDir }) => {
        const [file = '', form] = path.split('?')
        const found = file.startsWith('.') ? resolve(resolveDir, file) : createRequire(importer).resolve(file)
        return { path: found, namespace: 'address', pluginData: form }
      })
      onLoad({ filter: /.*/, namespace: 'address' }, async ({ path, pluginData: form }) => {
        const bytes = await readFile(path)
        const digest = createHash('sha256').update(bytes).digest('hex').slice(0, 12)
        const packed = form === 'gzip'
        const name = `${basename(path, extname(path))}-${digest}${extname(path)}${packed ? '.gz' : ''}`
        await mkdir(out, { recursive: true })
        await writeFile(join(out, name), packed ? gzipSync(bytes, { level: 9 }) : bytes)
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
