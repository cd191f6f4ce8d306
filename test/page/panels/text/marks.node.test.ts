import { describe, expect, it } from 'vitest'
import { piecesOf } from '../../../../page/panels/text/marks.ts'

const span = (start: number, end: number, label = 'PER') => ({ start, end, label, score: 1 })

describe('piecesOf', () => {
  it('cuts a text where spans begin and end, in any order', () => {
    const pieces = piecesOf('Ada met Charles.', [span(8, 15), span(0, 3)])
    expect(pieces.map(({ span, text }) => [text, span?.start])).toEqual([
      ['Ada', 0],
      [' met ', undefined],
      ['Charles', 8],
      ['.', undefined],
    ])
  })

  it('keeps the earlier of two that overlap, and the longer of two that begin together', () => {
    const pieces = piecesOf('abcdef', [span(2, 5), span(0, 3), span(0, 1)])
    expect(pieces.map(({ text }) => text)).toEqual(['abc', 'def'])
  })

  it.each([
    ['no spans', []],
    ['spans outside of the text', [span(-1, 2), span(4, 9), span(3, 3), span(2, 1), span(0.5, 2), span(Number.NaN, 2)]],
  ])('leaves the text whole with %s', (_, spans) => {
    expect(piecesOf('text', spans)).toEqual([{ text: 'text', span: undefined }])
  })

  it('of no text are none', () => {
    expect(piecesOf('', [span(0, 1)])).toEqual([])
  })
})
