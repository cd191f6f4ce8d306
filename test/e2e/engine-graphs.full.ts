import { expect, it } from 'vitest'
import { compareGraphs } from '../fixtures/node/graph-answers.ts'

/** Others than those of `test/compile/compile-random.node.test.ts`. */
const FIRST = 1_001
const GRAPHS = 5_000

it(`answers ${GRAPHS} random graphs as ONNX Runtime does, and declines few`, async () => {
  const { claimed, declined, wrong } = await compareGraphs(FIRST, GRAPHS)
  const reasons = [...declined].sort(([, a], [, b]) => b - a).map(([reason, count]) => `${count} ${reason}`)
  console.info(`the engine claims ${claimed} of ${GRAPHS} random graphs\n${reasons.join('\n')}`)
  expect(wrong).toEqual([])
  expect(claimed + [...declined.values()].reduce((sum, count) => sum + count, 0)).toBe(GRAPHS)
  expect(claimed).toBeGreaterThanOrEqual(0.9 * GRAPHS)
})
