import { describe, expect, it } from 'vitest'
import { coloursOf, placeBox, placeInWords } from '../../../page/media/boxes.ts'

const picture = { width: 400, height: 200 }

describe('placeBox', () => {
  it('lies in percent of the picture, whatever size that is shown in', () => {
    expect(placeBox({ xmin: 100, ymin: 50, xmax: 300, ymax: 150 }, picture)).toEqual({
      left: 25,
      top: 25,
      width: 50,
      height: 50,
      labelInside: false,
      labelAtEnd: false,
    })
  })

  it('keeps a label on the picture: inside of a box at the top, to the left of one at the right edge', () => {
    expect(placeBox({ xmin: 0, ymin: 0, xmax: 10, ymax: 10 }, picture)).toMatchObject({ labelInside: true })
    expect(placeBox({ xmin: 390, ymin: 100, xmax: 400, ymax: 200 }, picture)).toMatchObject({
      labelInside: false,
      labelAtEnd: true,
    })
  })

  it('keeps a box on the picture that leaves it, and has no negative size', () => {
    expect(placeBox({ xmin: -20, ymin: 180, xmax: 500, ymax: 260 }, picture)).toMatchObject({
      left: 0,
      top: 90,
      width: 100,
      height: 10,
    })
    expect(placeBox({ xmin: 300, ymin: 10, xmax: 200, ymax: 5 }, picture)).toMatchObject({ width: 0, height: 0 })
    expect(placeBox({ xmin: 0, ymin: 0, xmax: 1, ymax: 1 }, { width: 0, height: 0 })).toMatchObject({ width: 0 })
  })
})

describe('placeInWords', () => {
  it.each([
    [{ xmin: 0, ymin: 0, xmax: 20, ymax: 20 }, 'at the top left'],
    [{ xmin: 150, ymin: 80, xmax: 250, ymax: 120 }, 'in the centre'],
    [{ xmin: 380, ymin: 80, xmax: 400, ymax: 120 }, 'on the right'],
    [{ xmin: 0, ymin: 80, xmax: 20, ymax: 120 }, 'on the left'],
    [{ xmin: 150, ymin: 190, xmax: 250, ymax: 200 }, 'at the bottom centre'],
  ])('%o is %s', (box, words) => {
    expect(placeInWords(box, picture)).toBe(words)
  })
})

describe('coloursOf', () => {
  it('gives each label a colour by its first place, and begins again when there are no more', () => {
    expect([...coloursOf(['cat', 'dog', 'cat', 'cow', 'ant'], 3)]).toEqual([
      ['cat', 0],
      ['dog', 1],
      ['cow', 2],
      ['ant', 0],
    ])
  })
})
