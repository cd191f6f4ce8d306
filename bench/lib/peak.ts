import { readFileSync, writeFileSync } from 'node:fs'

/** Lets Linux count a process's greatest resident size anew: looking now and then would miss the peak between looks. */
export function forgetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5')
}

/** The greatest resident size since then. */
export function peakBytes(pid: number): number {
  const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  if (kilobytes === undefined) throw new Error(`no greatest resident size for process ${pid}`)
  return Number(kilobytes) * 1024
}
