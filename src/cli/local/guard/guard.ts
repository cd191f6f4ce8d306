import { spawn } from 'node:child_process'
import { accessSync, constants, mkdtempSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const HERE = import.meta.dirname
const WORKERD = join(HERE, 'workerd.sh')
const WATCH = join(HERE, 'watch.sh')

let folder: string | undefined

/**
 * From now on no workerd outlives this process, however it ends: what is killed by SIGKILL cannot end its children, and
 * workerd does not notice that it has nobody any more. A shell, a megabyte of it, holds the other end of a pipe and ends
 * them when the pipe closes. Miniflare and wrangler start workerd by way of a script that notes its process number first,
 * so that there is no moment in which one is unknown. Does nothing where there is no shell.
 */
export function guardWorkerd(): void {
  if (folder !== undefined || process.platform === 'win32' || !isExecutable(WORKERD)) return
  folder = mkdtempSync(join(tmpdir(), 'verge-guard-'))
  // a group of its own: Ctrl-C is not for it
  const guard = spawn('/bin/sh', [WATCH, folder], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] })
  guard.on('error', () => {})
  guard.unref()
  const pipe = guard.stdin as Socket | null
  pipe?.on('error', () => {})
  pipe?.unref()
  process.env.VERGE_WORKERD ??= process.env.MINIFLARE_WORKERD_PATH ?? workerdPath()
  process.env.MINIFLARE_WORKERD_PATH = WORKERD
  process.env.VERGE_GUARDED = folder
}

/** The same for a group of processes that this one has started, by the number of its first. */
export function guardGroup(pid: number | undefined): void {
  if (folder !== undefined && pid !== undefined) writeFileSync(join(folder, `group-${pid}`), '')
}

/** Archives may lose the permission to run a script. */
function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** As Miniflare finds it. */
function workerdPath(): string {
  const require = createRequire(createRequire(import.meta.url).resolve('miniflare'))
  return (require('workerd') as { default: string }).default
}
