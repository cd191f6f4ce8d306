import { readdirSync, readFileSync } from 'node:fs'

/** Milliseconds of CPU time. */
export interface ThreadTimes {
  /** Of the process's first thread, which in workerd runs the isolates. */
  readonly first: number
  /** Of all others together: V8's compilers and collectors of garbage. */
  readonly others: number
}

/** Milliseconds of CPU time of a process's threads: by the scheduler, in nanoseconds, where /proc/PID/stat has hundredths. */
export function fineCpuMs(pid: number): number {
  const { first, others } = threadTimes(pid)
  return first + others
}

export function threadTimes(pid: number): ThreadTimes {
  const folder = `/proc/${pid}/task`
  let first = 0
  let others = 0
  for (const thread of readdirSync(folder)) {
    const milliseconds = timeOf(`${folder}/${thread}/schedstat`)
    if (Number(thread) === pid) first += milliseconds
    else others += milliseconds
  }
  return { first, others }
}

function timeOf(file: string): number {
  try {
    return Number(readFileSync(file, 'utf8').split(' ')[0]) / 1e6
  } catch {
    // It has ended meanwhile.
    return 0
  }
}
