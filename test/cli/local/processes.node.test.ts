import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { clockMs, procTable, psTable } from '../../../src/cli/local/processes.ts'

let child: ChildProcess
beforeEach(async () => {
  // Works a little, so that there is something to count.
  const script = `while (process.cpuUsage().user < 150_000); process.stdout.write('x'); setInterval(() => {}, 1000)`
  child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  if (child.stdout) await once(child.stdout, 'data')
})
afterEach(async () => {
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
})

describe.skipIf(process.platform !== 'linux')('by ps, as by /proc (skipped only where this is not Linux)', () => {
  it('finds children by name', () => {
    const [name] = [procTable, psTable].flatMap((table) =>
      ['node', 'MainThread'].filter((wanted) => table.children(wanted).includes(child.pid ?? -1)),
    )
    expect(name).toBeDefined()
    expect(psTable.children(name ?? '')).toContain(child.pid)
    expect(psTable.children(name ?? '').sort()).toEqual(procTable.children(name ?? '').sort())
    expect(psTable.children('no-such-name')).toEqual([])
  })

  it('reads memory and CPU time', () => {
    const pid = child.pid ?? -1
    const bytes = procTable.residentBytes(pid)
    expect(Math.abs(psTable.residentBytes(pid) - bytes) / bytes).toBeLessThan(0.1)
    const ms = procTable.cpuMs(pid)
    expect(ms).toBeGreaterThanOrEqual(100)
    // Whole seconds where ps has no hundredths.
    expect(Math.abs(psTable.cpuMs(pid) - ms)).toBeLessThanOrEqual(1000)
  })
})

it('reads the clock of every ps', () => {
  expect(['0:01.23', '00:01:02', '2-03:04:05', '12:34.50'].map(clockMs)).toEqual([1230, 62_000, 183_845_000, 754_500])
})
