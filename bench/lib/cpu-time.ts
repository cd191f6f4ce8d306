import { readdirSync, readFileSync } from 'node:fs'

/** Milliseconds of CPU time of a process's threads: by the scheduler, in nanoseconds, where /proc/PID/stat has hundredths. */
export function fineCpuMs(pid: number): number {
  const folder = `/proc/${pid}/task`
  const nanoseconds = readdirSync(folder).map((thread) => {
    try {
      return Number(readFileSync(`${folder}/${thread}/schedstat`, 'utf8').split(' ')[0])
    } catch {
      // It has ended meanwhile.
      return 0
    }
  })
  return nanoseconds.reduce((sum, each) => sum + each, 0) / 1e6
}
