#!/usr/bin/env node
// `npx verge`: the command line. In the repository Node runs its TypeScript; the package that `npm pack` makes has it built.
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const folder = dirname(fileURLToPath(import.meta.url))
if (existsSync(join(folder, 'verge.ts'))) {
  process.argv.splice(1, 1, join(folder, 'launch.mjs'), join(folder, 'verge.ts'))
  await import('./launch.mjs')
} else {
  const { launchInstalled } = await import('./launch-installed.mjs')
  await launchInstalled(join(folder, '../dist/cli/main.js'))
}
