import { spawn } from 'node:child_process'
import { accessSync, constants, mkdtempSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { requireOfWrangler } from '../wrangler.ts'

const HERE = import.meta.dirname
const WORKERD = join(HERE, 'workerd.sh')
const WATCH = join(HERE, 'watch.sh')

let folder: string | undefined

/**
 * Ensures that no workerd outlives this process. A process killed by SIGKILL cannot end its children, and workerd does
 * not notice that its parent is gone. A shell, which takes a megabyte, holds the other end of a pipe and ends the
 * children when the pipe closes. Miniflare and wrangler start workerd through a script that records its process id
 * first, so that every workerd is known at all times. Does nothing on systems without a shell.
 */
export function guardWorkerd(): void {
  if (folder !== undefined || process.platform === 'win32' || !isExecutable(WORKERD)) return
  folder = mkdtempSync(join(tmpdir(), 'verge-guard-'))
  // a separate process group, which Ctrl-C does not reach
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
  const miniflare = createRequire(requireOfWrangler().resolve('miniflare'))
  return (miniflare('workerd') as { default: string }).default
}
