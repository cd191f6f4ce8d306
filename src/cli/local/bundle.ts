import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { promisify } from 'node:util'
import { ownModule, PACKAGE, ROOT, SOURCE } from '../files/project.ts'
import { wranglerProgram } from './wrangler.ts'

/** Bundles by the digest of their sources. */
const BUNDLES = join(ROOT, '.verge/bundles')

/** Rooms of `src/` that never enter the Worker's bundle. */
const TOOLS = ['cli/', 'cloudflare/', 'compile/', 'engine/native/', 'engine/process/', 'origin/', 'onnx/', 'quantize/']

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
  const directory = join(BUNDLES, await digestOfSources())
  if (existsSync(directory)) {
    const now = new Date()
    await utimes(directory, now, now)
    return directory
  }
  await mkdir(BUNDLES, { recursive: true })
  const temporary = await mkdtemp(join(BUNDLES, 'making-'))
  try {
    await promisify(execFile)(
      process.execPath,
      [
        ...[wranglerProgram(), 'deploy', ownModule('worker'), '--config', join(PACKAGE, 'wrangler.toml')],
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
  }
  await removeOld(directory)
  return directory
}

/** The inputs of a bundle: the Worker's sources and kernels, its configuration, and the versions of its packages. */
async function digestOfSources(): Promise<string> {
  const names = (await readdir(SOURCE, { recursive: true }))
    .map((name) => name.replaceAll('\\', '/'))
    .filter((name) => /\.(ts|js|wasm)$/.test(name) && !TOOLS.some((room) => name.startsWith(room)))
    .sort()
  const hash = createHash('sha256')
  const versions = ['wrangler.toml', 'package.json', 'package-lock.json'].map((name) => join(PACKAGE, name))
  for (const file of [...names.map((name) => join(SOURCE, name)), ...versions.filter((path) => existsSync(path))]) {
    const bytes = await readFile(file)
    hash.update(`${relative(PACKAGE, file)} ${bytes.length}\n`).update(bytes)
  }
  return hash.digest('hex').slice(0, 32)
}

async function removeOld(newest: string): Promise<void> {
  for (const name of await readdir(BUNDLES)) {
    const directory = join(BUNDLES, name)
    const { mtimeMs } = await stat(directory).catch(() => ({ mtimeMs: Number.POSITIVE_INFINITY }))
    if (directory !== newest && Date.now() - mtimeMs > KEPT_MS) await rm(directory, { recursive: true, force: true })
  }
}
