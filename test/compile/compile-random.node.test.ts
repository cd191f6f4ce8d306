import { expect, it } from 'vitest'
import { compareGraphs } from '../fixtures/node/graph-answers.ts'
import { randomGraph } from '../fixtures/random-graphs.ts'
import { randomIntegers } from '../fixtures/random-integers.ts'

const GRAPHS = 300

it('compiles random graphs to answers as ONNX Runtime gives them, and declines few', async () => {
  const { claimed, refused, declined, wrong } = await compareGraphs({ make: randomGraph, from: 1, graphs: GRAPHS })
  expect(wrong).toEqual([])
  expect(refused).toBe(0)
  const other = [...declined.values()].reduce((sum, count) => sum + count, 0)
  expect(claimed + other).toBe(GRAPHS)
  expect(claimed, [...declined.keys()].join('\n')).toBeGreaterThanOrEqual(0.9 * GRAPHS)
})

it('answers random graphs of whole numbers as ONNX Runtime does, and refuses what needs more than 32 bits', async () => {
  const { claimed, answered, refused, declined, wrong } = await compareGraphs({
    make: randomIntegers,
    from: 1,
    graphs: GRAPHS,
  })
  expect(wrong).toEqual([])
  expect(claimed, [...declined.keys()].join('\n')).toBeGreaterThanOrEqual(0.8 * GRAPHS)
  expect(refused).toBeGreaterThan(0)
  expect(answered).toBeGreaterThan(refused)
})

it('answers random graphs as ONNX Runtime does on the build without relaxed SIMD too', async () => {
  const { claimed, wrong } = await compareGraphs({ make: randomGraph, from: 301, graphs: 100, build: 'plain' })
  expect(wrong).toEqual([])
  expect(claimed).toBeGreaterThanOrEqual(90)
})
