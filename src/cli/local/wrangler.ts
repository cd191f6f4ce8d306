import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

/** Wrangler's program. */
export function wranglerProgram(): string {
  return join(dirname(wranglerManifest()), 'bin/wrangler.js')
}

/** Loads what wrangler itself would: its Miniflare and workerd, so that there is one runtime. */
export function requireOfWrangler(): NodeJS.Require {
  return createRequire(wranglerManifest())
}

/** Wrangler's package.json. The launchers have found that wrangler is installed, or have said how to install it. */
export function wranglerManifest(): string {
  return createRequire(import.meta.url).resolve('wrangler/package.json')
}
