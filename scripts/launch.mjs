/**
 * Runs a TypeScript script of the project, or says what is missing. Plain JavaScript that old releases of Node can read,
 * because a newcomer's first command may well be run by one, or before `npm ci`.
 *
 *     node scripts/launch.mjs scripts/start.ts [arguments]
 */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { endWithParent, runHere, runUnder } from './launcher.mjs'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const ownNode = join(root, 'node_modules/node/bin', process.platform === 'win32' ? 'node.exe' : 'node')
const script = resolve(root, process.argv[2] ?? '')

if (!existsSync(join(root, 'node_modules/wrangler')) || !existsSync(ownNode)) {
  console.error('The dependencies are not installed, or not completely. Run this first:\n\n  npm ci\n')
  process.exit(1)
}
endWithParent()

const { version } = JSON.parse(readFileSync(join(root, 'node_modules/node/package.json'), 'utf8'))
if (process.versions.node === version) await runHere(script, process.argv.slice(3))
// Another Node than the one that the project is tested with, and brings along.
else runUnder(ownNode, process.argv.slice(1))
