import { describe, expect, it } from 'vitest'
import { steps } from '../../../src/cli/terminal/steps.ts'
import { readOptions } from '../../../src/origin/command/options.ts'
import { terminalLogger } from '../../../src/origin/command/terminal-log.ts'
import { ManualClock } from '../../fixtures/clock.ts'

describe("an origin's log on a terminal", () => {
  const linesOf = (level: 'info' | 'warn' = 'info') => {
    const lines: string[] = []
    return { lines, logger: terminalLogger({ level, write: (line) => lines.push(line), time: () => '12:00:00' }) }
  }

  it('says in a sentence what a machine gets as JSON, good news without a warning', () => {
    const { lines, logger } = linesOf()
    logger.info('origin_listening', { version: '1', host: '127.0.0.1', port: 8788, adminPort: 8789 })
    logger.info('engine', { ok: true, engine: 'native', version: '1.30.0', provider: 'cpu' })
    logger.info('catalogue_read', { models: 3 })
    logger.info('origin_ready')
    expect(lines).toEqual([
      '12:00:00  Listening on http://127.0.0.1:8788 (health and metrics on port 8789); not ready yet',
      '12:00:00  Engine native 1.30.0 runs on cpu',
      '12:00:00  Read the catalogue: 3 models',
      '12:00:00  Ready for requests. Press Ctrl-C to stop.',
    ])
  })

  it('shows errors by their messages, other events by their names, and what others wrote without escapes', () => {
    const { lines, logger } = linesOf('warn')
    logger.info('origin_ready')
    logger.error('catalogue_unread', { error: new Error('No answer.', { cause: new Error('ECONNREFUSED') }) })
    logger.warn('batching_off', { key: 'abc', reason: 'rows\u001b[31m differ', rows: undefined })
    expect(lines).toEqual([
      '12:00:00  error: The catalogue cannot be read. Trying again (No answer. ECONNREFUSED)',
      '12:00:00  warn: batching off key=abc reason=rows\ufffd[31m differ',
    ])
  })

  it('is for people on a terminal, and JSON elsewhere, unless it is said otherwise', async () => {
    const environment = { VERGE_ORIGIN_KEY: 'a secret that is long enough for an origin' }
    const formatOf = async (isTerminal: boolean, ...args: string[]) =>
      (await readOptions(args, environment, isTerminal))?.logFormat
    expect(await formatOf(true)).toBe('lines')
    expect(await formatOf(false)).toBe('json')
    expect(await formatOf(true, '--log-format', 'json')).toBe('json')
    await expect(formatOf(true, '--log-format', 'xml')).rejects.toThrow('--log-format')
  })
})

describe('steps', () => {
  it('have names before they begin, and a sign of life while they last', async () => {
    const clock = new ManualClock()
    const lines: string[] = []
    const step = steps({ clock, progress: (line) => lines.push(line) })
    let finish = (): void => {}
    const slow = step(
      'Starting',
      () =>
        new Promise<string>((resolve) => {
          finish = () => resolve('started')
        }),
    )
    expect(lines).toEqual(['Starting'])
    await clock.advance(9_000)
    expect(lines).toEqual(['Starting', '  still running after 4.0 s', '  still running after 8.0 s'])
    finish()
    expect(await slow).toBe('started')
    await clock.advance(60_000)
    expect(lines).toHaveLength(3)
    await expect(step('Failing', () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    await clock.advance(60_000)
    expect(lines).toHaveLength(4)
  })
})
