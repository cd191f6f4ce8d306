import { parseArgs } from 'node:util'
import { expect, it } from 'vitest'
import { TRIM_OPTIONS, type TrimSettings, trimSettings } from '../../../src/cli/trim/options.ts'

const settings = (...args: string[]): TrimSettings | undefined =>
  trimSettings(parseArgs({ args, options: TRIM_OPTIONS }).values)

it('takes languages from one list or from several options, and all of them stay', () => {
  const languages = ['en', 'de', 'ja']
  expect(settings('--languages', 'en, de,ja')).toMatchObject({ languages })
  expect(settings('--languages', 'en,de', '--languages', 'ja')).toMatchObject({ languages })
})

it('asks for nothing without options, and refuses empty lists', () => {
  expect(settings()).toBeUndefined()
  expect(settings('--vocabulary', '9')).toEqual({ languages: [], corpus: undefined, most: 9 })
  expect(() => settings('--languages', '')).toThrow('--languages is empty')
  expect(() => settings('--languages', 'en', '--languages', 'de,')).toThrow('codes separated by commas')
})
