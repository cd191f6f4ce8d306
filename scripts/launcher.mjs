/** How a script is run, whatever Node and whoever starts it. Plain JavaScript that old releases of Node can read. */
import { execFileSync, spawn } from 'node:child_process'
import { pathToFileURL } from 'node:url'

/**
 * Ends this process with what it is part of: the launcher that has started it, or npm. Gone without a word, they would
 * leave this running.
 */
export function endWithParent() {
  if (process.channel) {
    process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'))
    process.channel.unref()
    return
  }
  const npm = npmAbove()
  if (npm === undefined) return
  const look = setInterval(() => {
    if (isAlive(npm)) return
    clearInterval(look)
    process.kill(process.pid, 'SIGTERM')
  }, 500)
  look.unref()
}

/** Runs a script in this process. `process.argv` becomes the script's own. */
export async function runHere(script, args) {
  process.argv.splice(1, process.argv.length, script, ...args)
  await import(pathToFileURL(script).href)
}

/** Runs this program again under another Node, and ends as it does. The channel tells it of this one's end. */
export function runUnder(node, args) {
  const child = spawn(node, args, { stdio: ['inherit', 'inherit', 'inherit', 'ipc'] })
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
