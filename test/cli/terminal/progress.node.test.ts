import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { ROOT } from '../../../src/cli/files/project.ts'
import { binarySize, duration, printable, table } from '../../../src/cli/terminal/format.ts'
import { createProgress, type ProgressOptions } from '../../../src/cli/terminal/progress.ts'

const MiB = 1024 * 1024

/** Without colours. */
function plain(text: string): string {
  return text
    .split('\u001b')
    .map((part, index) => (index === 0 ? part : /^\[\d*m/.test(part) ? part.replace(/^\[\d*m/, '') : `\u001b${part}`))
    .join('')
}

function setUp(options: Partial<ProgressOptions> = {}) {
  let written = ''
  let time = 0
  const progress = createProgress({
    stream: {
      columns: 100,
      write(text) {
        written += text
      },
    },
    isTTY: false,
    now: () => time,
    ...options,
  })
  return {
    progress,
    later: (ms: number) => {
      time += ms
    },
    written: () => written,
  }
}

describe('progress without a terminal', () => {
  it('writes a line every two seconds at most, and one at the end', () => {
    const { progress, later, written } = setUp()
    const task = progress.task('Sending', 100 * MiB)
    for (let i = 0; i < 100; i++) {
      later(100)
      task.advance(MiB)
    }
    task.done()
    const lines = written().trimEnd().split('\n')
    expect(lines[0]).toBe('Sending: 20 %, 20.00 MiB of 100.00 MiB, 10.00 MiB/s, 8.0 s left')
    expect(lines.at(-1)).toBe('Sending: done in 10 s')
    expect(lines).toHaveLength(6)
    expect([...written()].filter((char) => char === '\r' || char === '\u001b')).toEqual([])
  })

  it('says nothing of work that is over at once but how it ended, and nothing later that', () => {
    const { progress, written } = setUp()
    const task = progress.task('Looking', 3, 'steps')
    task.advance(3)
    task.done('3 found')
    task.done('again')
    task.advance(1)
    expect(written()).toBe('Looking: 3 found\n')
  })

  it('writes less often where little happens', () => {
    const { progress, later, written } = setUp()
    const task = progress.task('Sending', 1000, 'steps')
    for (let i = 0; i < 30; i++) {
      later(1_000)
      task.advance(1)
    }
    progress.close()
    const lines = written().trimEnd().split('\n')
    expect(lines).toHaveLength(3)
    expect(lines[0]).toMatch(/^Sending: 0 %, 2 of 1000, /)
  })

  it('says nothing at all where a program reads the output', () => {
    const { progress, later, written } = setUp({ json: true, isTTY: true })
    const task = progress.task('Sending', 100)
    later(60_000)
    task.advance(50)
    task.note('noted')
    task.done()
    expect(written()).toBe('')
  })
})

describe('progress in a terminal', () => {
  it('draws a bar over itself, keeps notes, and leaves a clean line', () => {
    const { progress, later, written } = setUp({ isTTY: true, env: { NO_COLOR: '1' } })
    const task = progress.task('Sending', 10 * MiB)
    later(2_000)
    task.set(5 * MiB)
    expect(written().split('\r\u001b[K').at(-1)).toBe(
      `${'\u2588'.repeat(12)}${'\u2591'.repeat(12)} Sending  50 %, 5.00 MiB of 10.00 MiB, 2.50 MiB/s, 2.0 s left`,
    )
    task.note('half of it')
    expect(written()).toContain('\r\u001b[Khalf of it\n')
    task.done('all of it')
    expect(written().endsWith('\r\u001b[KSending: all of it\n')).toBe(true)
    expect(plain(written())).toBe(written())
  })

  it('is never wider than the terminal, and coloured unless that is not wanted', () => {
    const { progress, written } = setUp({ isTTY: true, stream: undefined as never, ...wide(30) })
    progress.task('A label that is much longer than the line', 10, 'steps')
    progress.close()
    const line = plain(drawn.split('\r\u001b[K')[1] ?? '')
    expect(line).toHaveLength(29)
    expect(drawn).toContain('\u001b[36m')
    expect(drawn.endsWith('\r\u001b[K')).toBe(true)
    expect(written()).toBe('')
  })

  it('writes lines to a terminal that can do nothing else', () => {
    const { progress, written } = setUp({ isTTY: true, env: { TERM: 'dumb' } })
    progress.task('Sending', 10).done()
    expect(written()).toBe('Sending: done in 0.0 s\n')
  })

  let drawn = ''
  function wide(columns: number): Partial<ProgressOptions> {
    drawn = ''
    return { stream: { columns, write: (text: string) => (drawn += text) }, env: {} }
  }
})

describe('text for a terminal', () => {
  it('names bytes and times', () => {
    expect([0, 1023, 1024, 5.5 * MiB, 3 * 1024 * MiB].map(binarySize)).toEqual([
      '0 B',
      '1023 B',
      '1.0 KiB',
      '5.50 MiB',
      '3.00 GiB',
    ])
    expect([400, 12_000, 185_000].map(duration)).toEqual(['0.4 s', '12 s', '3 min 05 s'])
  })

  it('lets no name move the cursor, change colours or turn the writing around', () => {
    expect(printable('a\u001b[31mb\r\nc\u202ed\u0085e')).toBe('a\ufffd[31mb\ufffd\ufffdc\ufffdd\ufffde')
    const { progress, written } = setUp()
    progress.task('evil\u001b[2J').done('x\ny')
    expect(written()).toBe('evil\ufffd[2J: x\ufffdy\n')
  })

  it('sets columns side by side, figures to the right', () => {
    expect(table([['name', 'size'], ['a', '9 B'], ['long', '10 B'], ['x']])).toBe(
      'name  size\na      9 B\nlong  10 B\nx',
    )
  })
})

describe('Ctrl-C', () => {
  const script = `
    import { untilInterrupted, withoutItsSignals } from '${join(ROOT, 'src/cli/terminal/interrupt.ts')}'
    const signal = untilInterrupted()
    const busy = setInterval(() => {}, 1000)
    signal.addEventListener('abort', () => {
      console.log('stopping: ' + signal.reason.code)
      if (process.env.TWICE) process.kill(process.pid, 'SIGINT')
      if (process.env.ENDS) {
        clearInterval(busy)
        process.exitCode = 1
        setTimeout(() => console.log('in good order'), 50)
      }
    })
    if (process.env.OTHER) await withoutItsSignals(async () => process.on('SIGINT', () => process.exit(9)))
    console.log('ready')`

  async function start(env: NodeJS.ProcessEnv = {}) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...env },
    })
    const exited = once(child, 'exit')
    let text = ''
    child.stdout.setEncoding('utf8')
    const says = async (wanted: string): Promise<void> => {
      while (!text.includes(wanted)) text += String((await once(child.stdout, 'data'))[0])
    }
    await says('ready')
    return { child, exited, says }
  }

  it('lets work end where it leaves nothing half done, with the code that shells expect', async () => {
    const { child, exited, says } = await start({ ENDS: '1' })
    child.kill('SIGINT')
    await says('stopping: cancelled')
    expect((await exited)[0]).toBe(130)
  })

  it('takes its signals from what would end the process by itself', async () => {
    const { child, exited, says } = await start({ ENDS: '1', OTHER: '1' })
    child.kill('SIGINT')
    await says('stopping: cancelled')
    await says('in good order')
    expect((await exited)[0]).toBe(130)
  })

  it('ends the process at once the second time', async () => {
    // Close together they are one, which came by way of a launcher too.
    const { child, exited, says } = await start({ TWICE: '1' })
    child.kill('SIGINT')
    await says('stopping')
    await sleep(500)
    expect(child.exitCode).toBeNull()
    child.kill('SIGINT')
    expect((await exited)[0]).toBe(130)
  })
})
