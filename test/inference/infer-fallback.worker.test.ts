import { describe, expect, it } from 'vitest'
import { VergeError } from '../../src/core/errors.ts'
import { silentLogger, systemClock } from '../../src/core/runtime.ts'
import { tensor } from '../../src/core/tensors.ts'
import type { Forwarding } from '../../src/inference/forwarding.ts'
import { infer } from '../../src/inference/infer.ts'
import type { Placement } from '../../src/placement/placement.ts'
import { BoundedAdmission } from '../../src/serving/admission.ts'
import { openLedger } from '../../src/serving/ledger.ts'
import { testContext } from '../fixtures/clock.ts'
import { FakeServing, testModel } from '../fixtures/http.ts'
import { meteringOf } from '../fixtures/metering.ts'

const model = testModel('sums', 'public', {
  inputs: [{ name: 'x', datatype: 'FP32', shape: [1] }],
  outputs: [{ name: 'y', datatype: 'FP32', shape: [1] }],
})

/** A model that an origin is asked for first, and that runs here where the origin's answer is of no use. */
function setUp(text: string) {
  const serving = new FakeServing([model])
  const limits = meteringOf({ units: 10 })
  const bounds = { slots: 1, bodyBytes: 1, leaseMs: 60_000, clock: systemClock }
  const admission = new BoundedAdmission(bounds)
  const placement: Placement = {
    admission: new BoundedAdmission(bounds),
    reaches: () => true,
    explain: async () => ({}),
    route: async () => ({
      forward: true,
      fallback: true,
      giveUpOrigins() {},
      checkCost: serving.checkCost,
      prefetch: serving.prefetch,
      run: serving.run.bind(serving),
      generate: serving.generate.bind(serving),
      send: async () => ({ response: new Response(text), origin: 'fra', reason: 'model-prefers-origin', attempts: 1 }),
    }),
  }
  const forwarding: Forwarding<string> = {
    replayable: true,
    request: async () => ({
      route: 'task',
      method: 'POST',
      path: '/run/sums',
      headers: new Headers(),
      body: null,
      caller: '',
    }),
    recover: () => true,
    answer: async ({ response }) => {
      const said = await response.text()
      if (said === 'of use') return said
      throw new VergeError('origin_failed', 'The answer of the origin is invalid.')
    },
  }
  const context = { ...testContext(), ledger: openLedger() }
  const ask = () =>
    infer<string>(
      { serving, admission, placement, logger: silentLogger, clock: systemClock, metering: limits.metering },
      { serving, caller: { kind: 'anonymous' }, context },
      {
        name: 'sums',
        route: 'task',
        forwarding: () => forwarding,
        work: async (admitted) => {
          // The request is still at work.
          expect(limits.usage).toEqual([])
          const x = tensor('FP32', [1], Float32Array.of(1))
          await admitted.runner.run(admitted.model, new Map([['x', x]]), undefined, context)
          return 'from here'
        },
      },
    )
  return { ...limits, admission, ask, serving }
}

describe('an answer of an origin', () => {
  it('that is of no use ends nothing: the request is answered here, ends then, and its slot is free', async () => {
    const { admission, ask, left, serving, usage } = setUp('of no use')
    expect(await ask()).toBe('from here')
    expect(serving.runs).toHaveLength(1)
    expect(usage).toMatchObject([{ status: 200, units: 1 }])
    expect(left.units).toBe(8)
    admission.enter('another').leave()
  })

  it('that was read whole ends the request once', async () => {
    const { admission, ask, usage } = setUp('of use')
    expect(await ask()).toBe('of use')
    expect(usage).toMatchObject([{ status: 200, units: 0 }])
    admission.enter('another').leave()
  })
})
