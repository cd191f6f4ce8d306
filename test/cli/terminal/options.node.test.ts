import { parseArgs } from 'node:util'
import { describe, expect, it } from 'vitest'
import { HELP_OPTION, helpOf, type Options } from '../../../src/cli/terminal/options.ts'

const OPTIONS = {
  out: { type: 'string', short: 'o', shown: '-o, --out FILE', help: 'where to write it' },
  live: { type: 'boolean', shown: '--no-live', help: ['store it,', 'and leave it'] },
  size: { type: 'string', value: 'N', help: 'how large' },
  public: { type: 'boolean', shown: '--public, --private', help: 'who may call it' },
  private: { type: 'boolean' },
  ...HELP_OPTION,
} as const satisfies Options

describe('options that are declared once', () => {
  it('give the lines of a help, in a column that the longest sets', () => {
    expect(helpOf(OPTIONS)).toBe(
      [
        '  -o, --out FILE        where to write it',
        '  --no-live             store it,',
        '                        and leave it',
        '  --size N              how large',
        '  --public, --private   who may call it',
        '  --help                this text',
      ].join('\n'),
    )
  })

  it('line up with others', () => {
    expect(helpOf(HELP_OPTION, 10)).toBe('  --help    this text')
  })

  it('keep apart from their texts where they fill the column', () => {
    expect(helpOf({ long: { type: 'string', value: 'VALUE', help: ['one', 'two'] } }, 12)).toBe(
      ['  --long VALUE', `${' '.repeat(14)}one`, `${' '.repeat(14)}two`].join('\n'),
    )
  })

  it('are what the parser takes, with their types', () => {
    const args = ['-o', 'x', '--no-live', '--size', '3', '--private']
    const { values } = parseArgs({ args, options: OPTIONS, allowNegative: true })
    const out: string | undefined = values.out
    const live: boolean | undefined = values.live
    expect({ ...values, out, live }).toEqual({ out: 'x', live: false, size: '3', private: true })
    expect(() => parseArgs({ args: ['--sise', '3'], options: OPTIONS })).toThrow("Unknown option '--sise'")
  })
})
