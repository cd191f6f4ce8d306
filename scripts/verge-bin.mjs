#!/usr/bin/env node
// `npx verge` in the repository: the command line, by way of the launcher.
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const folder = dirname(fileURLToPath(import.meta.url))
process.argv.splice(1, 1, join(folder, 'launch.mjs'), join(folder, 'verge.ts'))
await import('./launch.mjs')
