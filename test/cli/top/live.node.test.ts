import { EventEmitter } from 'node:events'
import { describe, expect, it } from 'vitest'
import { showLive } from '../../../src/cli/top/live.ts'
import type { OperationsBody } from '../../../src/protocols/verge/operations.ts'
import { OPERATIONS } from '../../fixtures/operations.ts'

class FakeOutput extends EventEmitter {
  columns = 80
  rows = 24
  readonly written: string[] = []

  write(text: string): void {
    this.written.push(text)
    this.emit('written')
  }
}

class FakeInput extends EventEmitter {
  isTTY = true
  raw = false
  paused = true

  setRawMode(raw: boolean): void {
    this.raw = raw
  }

  resume(): void {
    this.paused = false
  }

  pause(): void {
    this.paused = true
  }

  press(key: string): void {
    this.emit('data', new TextEncoder().encode(key))
  }
}

function setup(answers: (() => OperationsBody)[] = [() => OPERATIONS], everyMs = 3_600_000) {
  const output = new FakeOutput()
  const input = new FakeInput()
  const ended = new AbortController()
  let asked = 0
  const showing = showLive({
    terminal: { input, output },
    ask: async () => (answers[asked++] ?? answers.at(-1) ?? (() => OPERATIONS))(),
    address: 'http://127.0.0.1:8787',
    colour: false,
    sort: 'requests',
    everyMs,
    signal: ended.signal,
  })
  /** Resolves as soon as something that was written fits. */
  const seen = async (text: string): Promise<void> => {
    while (!output.written.some((each) => each.includes(text))) {
      await new Promise<void>((resolve) => output.once('written', () => resolve()))
    }
  }
  return { output, input, ended, showing, seen }
}

/** The terminal is as it was before. */
function expectGivenBack({ input, output }: Pick<ReturnType<typeof setup>, 'input' | 'output'>): void {
  expect(output.written[0]).toBe('\u001b[?1049h\u001b[?25l')
  expect(output.written.at(-1)).toBe('\u001b[0m\u001b[?25h\u001b[?1049l')
  expect(input).toMatchObject({ raw: false, paused: true })
  expect(output.listenerCount('resize') + input.listenerCount('data')).toBe(0)
}

describe('the live view', () => {
  it.each(['q', '\u0003'])('ends by the key %j, and gives the terminal back', async (key) => {
    const { input, output, seen, showing } = setup()
    await seen('Models by requests')
    expect(input).toMatchObject({ raw: true, paused: false })
    input.press(key)
    await showing
    expectGivenBack({ input, output })
  })

  it('sorts by a key, and follows the size of the terminal', async () => {
    const { ended, input, output, seen, showing } = setup()
    await seen('Models by requests')
    input.press('e')
    await seen('Models by errors')
    output.rows = 6
    output.emit('resize')
    expect(output.written.at(-1)?.split('\r\n')).toHaveLength(6)
    ended.abort()
    await showing
    expectGivenBack({ input, output })
  })

  it('keeps the last answer where the Worker does not answer, and says so', async () => {
    const away = () => {
      throw new Error('No Worker answers.')
    }
    const { input, seen, showing } = setup([() => OPERATIONS, away, () => ({ ...OPERATIONS, version: '9.9.9' })], 1)
    await seen('Not refreshed: No Worker answers.')
    await seen('verge 9.9.9')
    input.press('q')
    await showing
  })

  it('does not touch the terminal where the first question fails', async () => {
    const { output, showing } = setup([
      () => {
        throw new Error('No Worker answers.')
      },
    ])
    await expect(showing).rejects.toThrow('No Worker answers.')
    expect(output.written).toEqual([])
  })
})
