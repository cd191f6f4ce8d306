import { expect, it } from 'vitest'
import { compareGraphs, type GraphRun } from '../fixtures/node/graph-answers.ts'
import { randomGraph } from '../fixtures/random-graphs.ts'
import { randomIntegers } from '../fixtures/random-integers.ts'

/** Others than those of `test/compile/compile-random.node.test.ts`. */
const FIRST = 1_001
const GRAPHS = 5_000

it.each([
  ['on both builds: relaxed', { make: randomGraph, build: 'relaxed' }, 0.9],
  ['on both builds: plain', { make: randomGraph, build: 'plain' }, 0.9],
  ['of whole numbers', { make: randomIntegers }, 0.8],
] as const)(`answers ${GRAPHS} random graphs as ONNX Runtime does %s, and declines few`, async (what, of, least) => {
  const run: GraphRun = { ...of, from: FIRST, graphs: GRAPHS }
  const { claimed, answered, refused, declined, wrong } = await compareGraphs(run)
  const reasons = [...declined].sort(([, a], [, b]) => b - a).map(([reason, count]) => `${count} ${reason}`)
  const runs = `${answered} runs answered, ${refused} refused beyond 32 bits`
  console.info(`the engine claims ${claimed} of ${GRAPHS} random graphs ${what}: ${runs}\n${reasons.join('\n')}`)
  expect(wrong).toEqual([])
  expect(claimed + [...declined.values()].reduce((sum, count) => sum + count, 0)).toBe(GRAPHS)
  expect(claimed).toBeGreaterThanOrEqual(least * GRAPHS)
  expect(answered).toBeGreaterThan(refused)
})
