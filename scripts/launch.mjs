/**
 * Runs a TypeScript script of the project, or says what is missing. Plain JavaScript that old releases of Node can read,
 * because a newcomer's first command may well be run by one, or before `npm ci`.
 *
 *     node scripts/launch.mjs scripts/start.ts [arguments]
 */
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const ownNode = join(root, 'node_modules/node/bin', process.platform === 'win32' ? 'node.exe' : 'node')
const script = resolve(root, process.argv[2] ?? '')

if (!existsSync(join(root, 'node_modules/wrangler')) || !existsSync(ownNode)) {
  console.error('The dependencies are not installed, or not completely. Run this first:\n\n  npm ci\n')
  process.exit(1)
}

/** What this is part of: the launcher that has started it, or npm. Gone without a word, it would leave this running. */
if (process.channel) {
  process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'))
  process.channel.unref()
} else {
  const npm = npmAbove()
  if (npm !== undefined) {
    const look = setInterval(() => {
      if (isAlive(npm)) return
      clearInterval(look)
      process.kill(process.pid, 'SIGTERM')
    }, 500)
    look.unref()
  }
}

const { version } = JSON.parse(readFileSync(join(root, 'node_modules/node/package.json'), 'utf8'))
if (process.versions.node === version) {
  process.argv.splice(1, 2, script)
  await import(pathToFileURL(script).href)
} else {
  // Another Node than the one that the project is tested with, and brings along. The channel tells it of this one's end.
  const child = spawn(ownNode, process.argv.slice(1), { stdio: ['inherit', 'inherit', 'inherit', 'ipc'] })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('exit', (code) => process.exit(code ?? 1))
}

/** The process of npm or npx that has started this one, by way of a shell or not; undefined if none has. */
function npmAbove() {
  if (process.env.npm_execpath === undefined || process.platform === 'win32') return undefined
  try {
    for (let pid = process.ppid, up = 0; up < 3 && pid > 1; up++) {
      const found = execFileSync('ps', ['-o', 'ppid=,args=', '-p', String(pid)], { encoding: 'utf8' }).trim()
      const [, parent, command] = /^(\d+)\s+(.*)$/s.exec(found) ?? []
      if (/^npm\b|\bnp[mx](-cli)?\.js\b/.test(command ?? '')) return pid
      pid = Number(parent)
    }
  } catch {
    // There is no ps here.
  }
  return undefined
}

function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}
