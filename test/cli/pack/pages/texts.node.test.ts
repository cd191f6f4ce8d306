import { expect, it } from 'vitest'
import { sampleTexts } from '../../../../src/cli/pack/pages/texts.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

it('reads a text a line', () => {
  expect(sampleTexts('texts.txt', bytes('one\n\n  \ntwo words\n'))).toEqual(['one', 'two words'])
})

it('reads the text of an object a line', () => {
  expect(sampleTexts('texts.jsonl', bytes('{"text":"one","label":1}\n{"inputs":"two"}\n'))).toEqual(['one', 'two'])
})

it.each([
  ['texts.txt', bytes('\n \n'), 'has no texts'],
  ['texts.txt', Uint8Array.of(0xff, 0xfe), 'is not UTF-8'],
  ['texts.jsonl', bytes('{"text":"one"}\nplain\n'), 'has no "text" in line 2'],
  ['texts.jsonl', bytes('{"text":1}\n'), 'has no "text" in line 1'],
])('refuses %s that is no such file', (file, content, message) => {
  expect(() => sampleTexts(file, content)).toThrow(`${file}, which names frequent texts, ${message}`)
})
