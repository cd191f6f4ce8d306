import { expect, it } from 'vitest'
import { pageSettings } from '../../../src/cli/build/page-settings.ts'

it('says nothing where no option is given', () => {
  expect(pageSettings({})).toEqual({ fields: {}, texts: undefined })
})

it('gives the fields of a verge.json, and the file that they name', () => {
  expect(pageSettings({ pages: 'on', 'hot-rows': '500', 'hot-texts': 'data/questions.jsonl' })).toEqual({
    fields: { pages: 'on', hotRows: 500, hotTexts: 'hot-texts.jsonl' },
    texts: 'data/questions.jsonl',
  })
})

it.each([
  [{ pages: 'yes' }, '--pages takes auto, on, off, not "yes".'],
  [{ 'hot-rows': '0' }, '--hot-rows must be a number from 1 to 1000000'],
  [{ 'hot-texts': 'texts.csv' }, '--hot-texts takes a .txt or .jsonl file, not "texts.csv".'],
])('refuses %o', (values, message) => {
  expect(() => pageSettings(values)).toThrow(message)
})
