import { describe, expect, it } from 'vitest'
import { detectionsIn, predictionsIn, scoresIn, speechIn, vectorsIn } from '../../../page/media/answers.ts'

const score = { label: 'cat', score: 0.5 }
const box = { xmin: 1, ymin: 2, xmax: 3, ymax: 4 }

describe('answers of tasks', () => {
  it('are read', () => {
    expect(scoresIn([score])).toEqual([score])
    expect(detectionsIn([{ ...score, box }])).toEqual([{ ...score, box }])
    const segments = [{ start: 0, end: 1, score: 0.5 }]
    expect(speechIn({ segments })).toEqual({ segments, window: undefined, probabilities: undefined })
    expect(speechIn({ segments: [], window: 0.032, probabilities: [0.1] })).toEqual({
      segments: [],
      window: 0.032,
      probabilities: [0.1],
    })
    expect(vectorsIn([1, 2])).toEqual([[1, 2]])
    expect(vectorsIn([[1], [2]])).toEqual([[1], [2]])
    expect(predictionsIn([1, 'a', [0.5, 2], [score]])).toEqual([1, 'a', [0.5, 2], [score]])
  })

  it.each([undefined, null, 'text', 5, {}, [{}], [{ label: 1, score: 1 }], [{ label: 'a', score: Number.NaN }]])(
    'are not what they should be: %o',
    (output) => {
      expect([scoresIn(output), detectionsIn(output), speechIn(output)]).toEqual([undefined, undefined, undefined])
    },
  )

  it('are refused in part, too: half a box is none', () => {
    expect(detectionsIn([{ ...score, box: { ...box, ymax: '4' } }])).toBeUndefined()
    expect(speechIn({ segments: [{ start: 0, end: 1 }] })).toBeUndefined()
    expect(vectorsIn([1, [2]])).toBeUndefined()
    expect(vectorsIn([])).toBeUndefined()
    expect(predictionsIn([null])).toBeUndefined()
  })
})
