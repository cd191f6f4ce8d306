import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { UsageError } from '../terminal/command-line.ts'

/** Process information from the system: from /proc if it exists, else from `ps`. */
export interface ProcessTable {
  /** Processes of a name that this process started. */
  children(name: string): number[]
  /** Bytes that are in memory. */
  residentBytes(pid: number): number
  /** Milliseconds of CPU time so far. */
  cpuMs(pid: number): number
}

/** The kernel counts CPU time in hundredths of a second. */
const TICK_MS = 10

export const procTable: ProcessTable = {
  children(wanted) {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => {
        const [name, parent] = statFields(pid, [0, 2])
        return name === wanted && Number(parent) === process.pid
      })
  },
  residentBytes(pid) {
    const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    if (kilobytes === undefined) throw new Error(`no resident size for process ${pid}`)
    return Number(kilobytes) * 1024
  },
  cpuMs(pid) {
    const [user, system] = statFields(pid, [12, 13])
    return (Number(user) + Number(system)) * TICK_MS
  },
}

/** Fields of /proc/PID/stat after the process id: 0 name, 2 parent, 12 user time, 13 system time. */
function statFields(pid: number, wanted: readonly number[]): (string | undefined)[] {
  try {
    const [, name, rest] = /^\d+ \((.*)\) (.*)$/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? []
    const fields = [name, ...(rest ?? '').split(' ')]
    return wanted.map((index) => fields[index])
  } catch {
    return []
  }
}

export const psTable: ProcessTable = {
  children(wanted) {
    return ps('-A', '-o', 'pid=,ppid=,comm=').flatMap((line) => {
      const [, pid, parent, command = ''] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? []
      return Number(parent) === process.pid && basename(command.trim()) === wanted ? [Number(pid)] : []
    })
  },
  residentBytes: (pid) => Number(ps('-o', 'rss=', '-p', String(pid))[0]) * 1024,
  cpuMs: (pid) => clockMs(ps('-o', 'time=', '-p', String(pid))[0] ?? ''),
}

export const processTable: ProcessTable = process.platform === 'linux' ? procTable : psTable

/** `[[days-]hours:]minutes:seconds`, with hundredths on some systems. */
export function clockMs(text: string): number {
  const [, days = 0, clock = ''] = /^(?:(\d+)-)?(.*)$/.exec(text.trim()) ?? []
  const seconds = clock.split(':').reduce((sum, part) => sum * 60 + Number(part), 0)
  return Math.round((Number(days) * 86_400 + seconds) * 1000)
}

function ps(...args: readonly string[]): string[] {
  try {
    return execFileSync('ps', args, { encoding: 'utf8' }).split('\n')
  } catch (cause) {
    throw new UsageError(
      'The memory of workerd cannot be measured here, because the system has neither /proc nor "ps". Use --no-verify and --no-measure.',
      { cause },
    )
  }
}
