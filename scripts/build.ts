import { execFile } from 'node:child_process'
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { promisify } from 'node:util'
import { ASSETS, buildAssets } from './assets/parts.ts'
import { ownFileUrls } from './package/file-urls.ts'

/** Writes `dist/`, which `npm pack` puts into the package: `src/` as JavaScript, module by module, with types for users. */
const ROOT = join(import.meta.dirname, '..')
const SOURCE = join(ROOT, 'src')
const DIST = join(ROOT, 'dist')

/** What the compiler makes something of. Everything else is read or imported as it is, declarations of generated JavaScript too. */
const COMPILED = /(?<!\.d)\.ts$/

await rm(DIST, { recursive: true, force: true })
const compiler = join(ROOT, 'node_modules/typescript/bin/tsc')
for (const program of ['tsconfig.package-worker.json', 'tsconfig.package-browser.json', 'tsconfig.package-node.json']) {
  await promisify(execFile)(process.execPath, [compiler, '-p', join(ROOT, program)]).catch(explain)
}
for (const entry of await readdir(SOURCE, { recursive: true, withFileTypes: true })) {
  const path = join(entry.parentPath, entry.name)
  if (entry.isFile() && !COMPILED.test(entry.name)) await cp(path, join(DIST, relative(SOURCE, path)))
}
await buildAssets()
await cp(ASSETS, join(DIST, 'assets'), { recursive: true })
for (const name of await readdir(DIST, { recursive: true })) {
  // Bundled already.
  if (name.startsWith('assets')) continue
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
