import { describe, expect, it } from 'vitest'
import { posesIn } from '../../../page/media/answers.ts'
import { bonesOf, isSure, strokeOf } from '../../../page/media/poses.ts'

const NAMES = ['nose', 'left', 'right']
const ANSWER = [
  {
    score: 0.9,
    label: 'person',
    box: { xmin: 1, ymin: 2, xmax: 3, ymax: 4 },
    keypoints: [
      { x: 1, y: 2, score: 0.9, name: 'nose' },
      { x: 3, y: 4, score: 0.1, name: 'left' },
      { x: 5, y: 6, name: 'right' },
    ],
  },
  { score: 0.5, keypoints: [] },
]

describe('poses', () => {
  it('are read from an answer, with what it leaves out', () => {
    const [first, second, ...others] = posesIn(ANSWER) ?? []
    expect(others).toEqual([])
    expect(first).toMatchObject({ score: 0.9, label: 'person', box: { xmax: 3 } })
    expect(first?.points).toHaveLength(3)
    expect(first?.points[2]).toEqual({ x: 5, y: 6, score: undefined, name: 'right' })
    expect(second).toEqual({ score: 0.5, label: undefined, box: undefined, points: [] })
  })

  it.each([undefined, {}, [{}], [{ score: 1 }], [{ score: 1, keypoints: [{ x: '1', y: 2 }] }]])(
    'are not read from something else: %j',
    (output) => {
      expect(posesIn(output)).toBeUndefined()
    },
  )

  it('have lines between points that are sure', () => {
    const [pose] = posesIn(ANSWER) ?? []
    if (pose === undefined) throw new Error('no pose')
    const skeleton = [
      [0, 1],
      [0, 2],
      [2, 9],
    ] as const
    expect(bonesOf(pose, NAMES, skeleton).map(({ from, to }) => [from.name, to.name])).toEqual([['nose', 'right']])
    expect(pose.points.map(isSure)).toEqual([true, false, true])
  })

  it('have lines that are as thick as the picture is large', () => {
    expect(strokeOf({ width: 100, height: 50 })).toBe(1)
    expect(strokeOf({ width: 800, height: 4000 })).toBe(20)
  })
})
