/** Runs the built command line of the installed package. Plain JavaScript that old releases of Node can read. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { endWithParent, runHere, runUnder } from './launcher.mjs'

/** The oldest Node that has all that the command line uses: Float16Array, and relaxed SIMD of WebAssembly. */
const LEAST_NODE = 24

/** What needs no more than files, so that a newcomer can begin with any Node. */
const SIMPLE = ['init', 'completion', 'help', '--help', '-h']

/** Packages that npm may leave out, and what to do then. */
const NEEDED = {
  wrangler: 'Install it in your project:\n\n  npm install --save-dev wrangler',
  'onnxruntime-node':
    'npm leaves it out when its install script fails, which downloads CUDA libraries. Install again without it:\n\n' +
    '  echo onnxruntime-node-install=skip >> .npmrc && npm install',
}

/** @param script the built command line */
export async function launchInstalled(script) {
  const args = process.argv.slice(2)
  endWithParent()
  if (isSimple(args)) {
    await runHere(script, args)
    return
  }
  const lacking = Object.keys(NEEDED).find((name) => !isInstalled(name))
  if (lacking !== undefined) {
    console.error(`The package ${lacking} is not installed. ${NEEDED[lacking]}\n`)
    process.exitCode = 1
    return
  }
  if (majorOf(process.versions.node) >= LEAST_NODE) {
    await runHere(script, args)
    return
  }
  const node = installedNode(dirname(script))
  if (node === undefined) {
    console.error(
      `This command needs Node ${LEAST_NODE} or newer, and this is Node ${process.versions.node}. Install a newer Node, or ` +
        `install one into this project:\n\n  npm install --save-dev node@${LEAST_NODE}\n\n` +
        'Where npm does not run install scripts, allow this one: "allowScripts": { "node": true } in package.json.\n',
    )
    process.exitCode = 1
    return
  }
  runUnder(node, process.argv.slice(1))
}

function isInstalled(name) {
  try {
    createRequire(import.meta.url).resolve(`${name}/package.json`)
    return true
  } catch {
    return false
  }
}

function isSimple(args) {
  return args.length === 0 || SIMPLE.includes(args[0]) || args.includes('--help') || args.includes('-h')
}

/** The Node of the npm package "node", in the project or beside this package; undefined if there is none that runs. */
function installedNode(beside) {
  for (const from of [process.cwd(), beside]) {
    try {
      const folder = dirname(createRequire(join(from, 'package.json')).resolve('node/package.json'))
      const program = join(folder, 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
      // A package whose install script did not run has no program, or one that is not Node.
      if (!existsSync(program)) continue
      const { stdout, status } = spawnSync(program, ['--version'], { encoding: 'utf8' })
      if (status === 0 && majorOf(stdout.trim().slice(1)) >= LEAST_NODE) return program
    } catch {
      // Not installed there.
    }
  }
  return undefined
}

function majorOf(version) {
  return Number(version.split('.')[0])
}
