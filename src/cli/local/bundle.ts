import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ownModule, PACKAGE, ROOT } from '../files/project.ts'
import { withoutTables } from '../files/toml-tables.ts'
import { sourcesDigest } from './sources-digest.ts'
import { wranglerProgram } from './wrangler.ts'

/** Bundles by the digest of their sources. */
const BUNDLES = join(ROOT, '.verge/bundles')

/** Rooms of `src/` that never enter the Worker's bundle. */
const TOOLS = ['cli/', 'cloudflare/', 'compile/', 'engine/native/', 'engine/process/', 'origin/', 'onnx/', 'quantize/']

/** Whether a bundle's content may depend on a module: the Worker's sources and kernels. */
const isOfWorker = (name: string): boolean =>
  /\.(ts|js|wasm)$/.test(name) && !TOOLS.some((room) => name.startsWith(room))

/** A bundle that was not used for this time may be deleted; a bundle in use by another process is younger. */
const KEPT_MS = 24 * 60 * 60 * 1000

let bundling: Promise<string> | undefined

/**
 * Bundles Verge's own Worker as `wrangler deploy` does, or finds the bundle of the same sources again: bundling takes seconds.
 * @returns the folder with its modules, and esbuild's account of them in `bundle-meta.json`
 */
export function bundleWorker(): Promise<string> {
  bundling ??= bundle().catch((error: unknown) => {
    bundling = undefined
    throw error
  })
  return bundling
}

async function bundle(): Promise<string> {
  const directory = join(BUNDLES, (await sourcesDigest(isOfWorker)).slice(0, 32))
  if (existsSync(directory)) {
    const now = new Date()
    await utimes(directory, now, now)
    return directory
  }
  await mkdir(BUNDLES, { recursive: true })
  const temporary = await mkdtemp(join(BUNDLES, 'making-'))
  // The page is no part of the bundle.
  const config = `${temporary}.toml`
  try {
    const own = await readFile(join(PACKAGE, 'wrangler.toml'), 'utf8')
    await writeFile(config, withoutTables(own, ['assets', 'build']))
    await promisify(execFile)(
      process.execPath,
      [
        ...[wranglerProgram(), 'deploy', ownModule('worker'), '--config', config],
        ...['--dry-run', '--metafile', '--outdir', temporary],
      ],
      {
        cwd: PACKAGE,
        env: { ...process.env, WRANGLER_SEND_METRICS: 'false', CI: 'true' },
      },
    )
    await rename(temporary, directory).catch((error: unknown) => {
      // Another process was faster, with the same result.
      if (!existsSync(directory)) throw error
    })
  } finally {
    await rm(temporary, { recursive: true, force: true })
    await rm(config, { force: true })
  }
  await removeOld(directory)
  return directory
}

async function removeOld(newest: string): Promise<void> {
  for (const name of await readdir(BUNDLES)) {
    const directory = join(BUNDLES, name)
    const { mtimeMs } = await stat(directory).catch(() => ({ mtimeMs: Number.POSITIVE_INFINITY }))
    if (directory !== newest && Date.now() - mtimeMs > KEPT_MS) await rm(directory, { recursive: true, force: true })
  }
}
