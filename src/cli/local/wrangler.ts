import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { UsageError } from '../terminal/command-line.ts'

/** Wrangler's program. @throws UsageError if wrangler is not installed */
export function wranglerProgram(): string {
  return join(dirname(wranglerManifest()), 'bin/wrangler.js')
}

/** Loads what wrangler itself would: its Miniflare and workerd, so that there is one runtime. @throws as above */
export function requireOfWrangler(): NodeJS.Require {
  return createRequire(wranglerManifest())
}

/** Wrangler's package.json. @throws as above */
export function wranglerManifest(): string {
  try {
    return createRequire(import.meta.url).resolve('wrangler/package.json')
  } catch (cause) {
    const message = 'Wrangler is not installed. Install it in your project:\n\n  npm install --save-dev wrangler\n'
    throw new UsageError(message, { cause })
  }
}
