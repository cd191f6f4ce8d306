import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ROOT } from '../../src/cli/files/project.ts'
import { wranglerProgram } from '../../src/cli/local/wrangler.ts'
import { CACHE } from '../models/index.ts'

/** The Workers that benchmarks run: Verge, Verge with a look at its stores, and what it is held against. */
const ENTRIES = {
  verge: ['--config', 'wrangler.toml'],
  timed: ['bench/workers/timed.ts', '--config', 'bench/workers/wrangler.toml'],
  inside: ['bench/workers/inside.ts', '--config', 'bench/workers/wrangler.toml'],
  plain: ['bench/workers/plain.ts', '--config', 'bench/workers/wrangler.toml'],
  uncapped: ['bench/workers/uncapped.ts', '--config', 'bench/workers/wrangler.toml'],
  pass: ['bench/workers/pass.ts', '--config', 'bench/workers/wrangler.toml'],
  engine: ['bench/workers/engine.ts', '--config', 'bench/workers/wrangler.toml'],
  tokenizers: ['bench/workers/tokenizers.ts', '--config', 'bench/workers/wrangler.toml'],
  slow: ['bench/workers/slow.ts', '--config', 'bench/workers/wrangler.toml'],
  reads: ['bench/workers/reads.ts', '--config', 'bench/workers/wrangler.toml'],
  limits: ['bench/workers/limits.ts', '--config', 'bench/workers/wrangler.toml'],
  telemetry: ['bench/workers/telemetry.ts', '--config', 'bench/workers/wrangler.toml'],
  echo: ['bench/workers/echo.ts', '--config', 'bench/workers/wrangler.toml'],
} as const

export type WorkerName = keyof typeof ENTRIES

/** Bundles a Worker as `wrangler deploy` does. @returns the folder with its modules */
export async function bundle(name: WorkerName): Promise<string> {
  const outdir = join(CACHE, 'bundles', name)
  await promisify(execFile)(
    process.execPath,
    [wranglerProgram(), 'deploy', ...ENTRIES[name], '--dry-run', '--outdir', outdir],
    {
      cwd: ROOT,
      env: { ...process.env, WRANGLER_SEND_METRICS: 'false', CI: 'true' },
    },
  )
  return outdir
}
