import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { Metafile } from 'esbuild'

/**
 * Bytes in gzip that a visitor downloads before a model of Verge's own engine runs: the page's client, the web worker with its
 * task, and the kernels. ONNX Runtime's WebAssembly alone would be 3.7 MB.
 */
export const FIRST_LOAD_GZIP_BYTES = 200_000

/** The same for tasks that read texts beside pictures or sounds, which need the code for both. */
export const BOTH_SIDES_GZIP_BYTES = 210_000
export const BOTH_SIDES: readonly string[] = [
  'zero-shot-image-classification',
  'image-text-similarity',
  'zero-shot-audio-classification',
]

/** What no model of Verge's own engine may download. */
export const LOADED_LATER: readonly string[] = ['onnxruntime-web', '@huggingface/jinja', 'hono']

export interface FirstLoad {
  readonly gzipBytes: number
  /** Paths of the modules that the scripts are made of. */
  readonly modules: readonly string[]
}

/**
 * What a page downloads for a model of a task.
 * @param folder as the browser's part was built into
 * @param metafile of the web worker's build
 * @param task its module in `src/tasks/`
 */
export async function firstLoadOf(folder: string, metafile: Metafile, task: string): Promise<FirstLoad> {
  const { outputs } = metafile
  const entryOf = (module: string): string => {
    const [path] = Object.entries(outputs).find(([, { entryPoint }]) => entryPoint === module) ?? []
    if (path === undefined) throw new Error(`No script begins with ${module}.`)
    return path
  }
  const scripts = new Set<string>()
  const add = (path: string): void => {
    if (scripts.has(path)) return
    scripts.add(path)
    for (const { kind, path: other } of outputs[path]?.imports ?? []) {
      if (kind === 'import-statement' && outputs[other] !== undefined) add(other)
    }
  }
  add(entryOf('src/browser/worker/main.ts'))
  add(entryOf(`src/tasks/${task}.ts`))
  const kernels = 'src/engine/verge/kernels/relaxed.wasm'
  const files = [
    ...[...scripts].map((path) => join(folder, 'assets/browser', basename(path))),
    join(folder, 'browser.js'),
    join(import.meta.dirname, '../..', kernels),
  ]
  const contents = await Promise.all(files.map((file) => readFile(file)))
  return {
    gzipBytes: contents.reduce((sum, bytes) => sum + gzipSync(bytes).length, 0),
    modules: [...scripts].flatMap((path) => Object.keys(outputs[path]?.inputs ?? {})),
  }
}
