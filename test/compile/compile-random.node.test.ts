import { expect, it } from 'vitest'
import { compareGraphs } from '../fixtures/node/graph-answers.ts'

const GRAPHS = 300

it('compiles random graphs to answers as ONNX Runtime gives them, and declines few', async () => {
  const { claimed, declined, wrong } = await compareGraphs(1, GRAPHS)
  expect(wrong).toEqual([])
  const refused = [...declined.values()].reduce((sum, count) => sum + count, 0)
  expect(claimed + refused).toBe(GRAPHS)
  expect(claimed, [...declined.keys()].join('\n')).toBeGreaterThanOrEqual(0.9 * GRAPHS)
})
