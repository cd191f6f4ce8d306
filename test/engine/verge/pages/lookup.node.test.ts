import { describe, expect, it } from 'vitest'
import { tensor } from '../../../../src/core/tensors.ts'
import type { Operand, Plan, PlanStep } from '../../../../src/engine/verge/plan.ts'
import { pagesOf } from '../../../../synthetic/source.ts'
import { artifactBytes } from '../../../../synthetic/verge-plans.ts'
import { rejection } from '../../../contract/rejection.ts'
import { idsTensor } from '../../../fixtures/node/paged-models.ts'
import { loadVerge, runSession, vergeEngine } from '../../../fixtures/node/verge-engine.ts'
import { pagedPlan } from '../../../fixtures/verge-paged.ts'

const { writer, file } = await pagedPlan()
const plan = writer.plan()

/** The plan with another second lookup, which is in i8 with scales. */
function withStep(change: (step: PlanStep) => PlanStep): Plan {
  return { ...plan, steps: plan.steps.map((step, at) => (at === 1 ? change(step) : step)) }
}

function withOperand(place: number, operand: Operand): Plan {
  return withStep((step) => ({ ...step, in: step.in.map((other, at) => (at === place ? operand : other)) }))
}

function withAttribute(name: string, value: number): Plan {
  return withStep((step) => ({ ...step, with: { ...step.with, [name]: value } }))
}

/** The plan with another shape of a constant of that step. */
function withShape(place: number, shape: readonly number[]): Plan {
  const operand = plan.steps[1]?.in[place]
  const target = operand && 'constant' in operand ? operand.constant : -1
  const bytes = shape.reduce((count, size) => count * size, 1)
  const constants = plan.constants.map((constant, at) =>
    at === target
      ? { ...constant, shape, bytes: bytes * ({ i32: 4, f32: 4, i8: 1, u8: 1 }[constant.dtype as 'i8'] ?? 1) }
      : constant,
  )
  return { ...plan, constants }
}

const inputs = {
  ids: idsTensor([2, 6], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
  kinds: tensor('INT32', [2, 6], Int32Array.of(11, -1, -12, 9, 8, 7, 6, 5, 4, 3, 2, 1)),
}

describe('a plan with tables in pages', () => {
  it('answers a text alone as in a batch', async () => {
    const session = await loadVerge(vergeEngine(), artifactBytes(plan, writer.image()), pagesOf(file))
    const together = (await runSession(session, inputs)).get('y')?.data
    const alone = async (from: number): Promise<readonly number[]> => {
      const ids = idsTensor(
        [1, 6],
        [0, 1, 2, 3, 4, 5].map((at) => at + from),
      )
      const kinds = tensor('INT32', [1, 6], inputs.kinds.data.slice(from, from + 6) as Int32Array)
      const answer = (await runSession(session, { ids, kinds })).get('y')
      return answer?.datatype === 'FP32' ? [...answer.data] : []
    }
    expect([...(await alone(0)), ...(await alone(6))]).toEqual([...(together as Float32Array)])
  })

  const cases: readonly (readonly [string, Plan, RegExp])[] = [
    ['ids that are computed', withOperand(3, { buffer: plan.steps[0]?.out[0] ?? 0 }), /of another type|no input/],
    ['no order', withOperand(0, null), /no operand "order"/],
    ['no digests', withOperand(1, null), /no operand "digests"/],
    ['an order that is not a list', withShape(0, [6, 2]), /another number of places than rows/],
    ['fewer places than hot rows', withShape(0, [2]), /another number of places than rows/],
    ['fewer places than pages have rows', withShape(0, [7]), /another number of digests than pages/],
    ['fewer digests than pages', withShape(1, [2, 32]), /another number of digests than pages/],
    ['digests of another length', withShape(1, [3, 16]), /another number of digests than pages/],
    ['fewer scales than hot rows', withShape(4, [2]), /other rows than scales/],
    ['no rows in a page', withAttribute('rowsPerPage', 0), /a page of 0 rows is empty/],
    ['pages that are too large', withAttribute('rowsPerPage', 2 ** 20), /has more than 1048576 bytes/],
    [
      'a part of a row in a page',
      withAttribute('rowsPerPage', 1.5),
      /"rowsPerPage" of gather-paged is no whole number/,
    ],
    ['a place before the file', withAttribute('offset', -4), /"offset" of gather-paged is no whole number/],
    ['a place that no number counts', withAttribute('offset', 2 ** 53 - 1), /no place in the pages file/],
    ['a place behind the file', withAttribute('offset', 4096), /its pages file has .* bytes, and its tables need/],
    ['a place in another table', withAttribute('offset', 4), /share bytes of the pages file/],
  ]
  it.each(cases)('with %s is refused when it is loaded', async (_, damaged, reason) => {
    const engine = vergeEngine()
    const error = await rejection(loadVerge(engine, artifactBytes(damaged, writer.image()), pagesOf(file)))
    expect([error.code, error.message]).toEqual(['model_invalid', expect.stringMatching(reason)])
    expect(engine.runtime.memory.used).toBe(0)
  })

  it.each([12, -1, 2 ** 31 - 1, -(2 ** 31)])(
    'whose order has place %d is refused when an id meets it',
    async (place) => {
      const image = writer.image()
      const operand = plan.steps[0]?.in[0]
      const order = operand && 'constant' in operand ? plan.constants[operand.constant]?.offset : undefined
      new DataView(image.buffer).setInt32((order ?? 0) + 4 * 4, place, true)
      const session = await loadVerge(vergeEngine(), artifactBytes(plan, image), pagesOf(file))
      const run = (id: number) =>
        runSession(session, { ids: idsTensor([1, 1], [id]), kinds: tensor('INT32', [1, 1], Int32Array.of(0)) })
      await run(3)
      const error = await rejection(run(4))
      expect([error.code, error.message]).toEqual(['model_invalid', expect.stringMatching(/its table does not have/)])
      await run(5)
    },
  )
})
