import { execFile } from 'node:child_process'
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ownFileUrls } from './package/file-urls.ts'

/** Writes `dist/`, which `npm pack` puts into the package: `src/` as JavaScript, module by module, with types for users. */
const ROOT = join(import.meta.dirname, '..')
const SOURCE = join(ROOT, 'src')
const DIST = join(ROOT, 'dist')

/** What modules read or import beside TypeScript. Declarations are of JavaScript that was generated with them. */
const BESIDE = /\.(wasm|sh|txt|js)$|^onnx\/schema\/.*\.d\.ts$/

await rm(DIST, { recursive: true, force: true })
const compiler = join(ROOT, 'node_modules/typescript/bin/tsc')
for (const program of ['tsconfig.package-worker.json', 'tsconfig.package-node.json']) {
  await promisify(execFile)(process.execPath, [compiler, '-p', join(ROOT, program)]).catch(explain)
}
for (const name of await readdir(SOURCE, { recursive: true })) {
  if (BESIDE.test(name.replaceAll('\\', '/'))) await cp(join(SOURCE, name), join(DIST, name))
}
for (const name of await readdir(DIST, { recursive: true })) {
  if (!name.endsWith('.js')) continue
  const path = join(DIST, name)
  const text = await readFile(path, 'utf8')
  const changed = ownFileUrls(text)
  if (changed !== text) await writeFile(path, changed)
}

/** The compiler prints what is wrong to its standard output. */
function explain(error: { readonly stdout?: string }): never {
  console.error(error.stdout)
  throw error
}
