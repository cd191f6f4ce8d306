import { describe, expect, it } from 'vitest'
import { VergeError } from '../../src/core/errors.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { silentLogger, systemClock } from '../../src/core/runtime.ts'
import type { RequestTracer } from '../../src/core/tracing.ts'
import { WorkLane } from '../../src/core/work.ts'
import type { Metering } from '../../src/metering/metering.ts'
import { RpcService } from '../../src/rpc/service.ts'
import { BoundedAdmission } from '../../src/serving/admission.ts'
import { FakeServing, testModel } from '../fixtures/http.ts'
import { meteringOf } from '../fixtures/metering.ts'
import { tracing } from '../fixtures/traces.ts'

const clock = systemClock

function serviceOf(serving: FakeServing, metering?: Metering, tracer?: RequestTracer): RpcService {
  return new RpcService({
    serving,
    tracer,
    ...(metering && { metering }),
    admission: new BoundedAdmission({ slots: 4, bodyBytes: 10_000, leaseMs: 60_000, clock }),
    config: { version: '0', corsOrigins: [], deadlineMs: 30_000 },
    clock,
    logger: silentLogger,
    runs: { finished: 0 },
    limits: LIMITS,
    lane: new WorkLane({ clock, stepsBetweenPauses: LIMITS.stepsBetweenPauses, leaseMs: LIMITS.turnLeaseMs }),
    randomId: () => 'r-1',
    callers: new Set(),
    ask: async () => new Response(),
  })
}

const CALL = { props: undefined, waitUntil: () => {} }

describe('another Worker, while a canary is live', () => {
  it('has the calls for one of its users answered by one version', async () => {
    const model = testModel('open', 'public', {
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [-1] }],
    })
    const live = ['1', '2'].map((version) => ({ version, weight: 50 }))
    const canary = { version: '2', against: '1', guarded: true }
    const rpc = serviceOf(new FakeServing([{ ...model, alias: { ...model.alias, live, canary } }]))
    const inputs = { tensors: { x: { datatype: 'FP32', shape: [1], data: [1] } } } as const
    const versions = async (sticky: string | undefined): Promise<unknown> => {
      const calls = [await rpc.run(CALL, 'open', inputs, { sticky }), await rpc.run(CALL, 'open', inputs, { sticky })]
      return [...new Set(calls.map((call) => (call.ok ? call.model : call.error.code)))].join()
    }
    const seen: unknown[] = []
    for (let n = 0; n < 20; n++) seen.push(await versions(`user-${n}`))
    expect([...new Set(seen)].sort()).toEqual(['open@1', 'open@2'])
    expect(await versions(undefined)).toBe('open@1')
    expect(await versions('two words')).toBe('invalid_request')
  })
})

describe('a call of another Worker that is recorded', () => {
  it('leaves a span with what it came to, or why it failed', async () => {
    const model = testModel('open', 'public', {
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [-1] }],
    })
    const { exported, tracer } = tracing()
    const rpc = serviceOf(new FakeServing([model]), undefined, tracer)
    const inputs = { tensors: { x: { datatype: 'FP32', shape: [1], data: [1] } } } as const
    expect((await rpc.run(CALL, 'open', inputs, {})).ok).toBe(true)
    expect((await rpc.run(CALL, 'words-of-the-caller', inputs, {})).ok).toBe(false)
    // Refused before anybody knows who calls.
    const unknown = { words: true } as never
    await rpc.run(CALL, 'open', inputs, unknown)
    await rpc.write(CALL, '/v1/completions', 'open', {}, unknown)
    const spans = await exported()
    expect(spans.map(({ attributes, name }) => [name, attributes['verge.model'], attributes['error.type']])).toEqual([
      ['authorize', undefined, undefined],
      ['VergeRpc/run', 'open', undefined],
      ['authorize', undefined, undefined],
      ['VergeRpc/run', undefined, 'model_not_found'],
      ['VergeRpc/run', undefined, 'invalid_request'],
      ['VergeRpc/write', undefined, 'invalid_request'],
    ])
    expect(spans[0]?.attributes).toEqual({ 'verge.caller': 'anonymous' })
    expect(JSON.stringify(spans)).not.toContain('words')
  })
})

describe('tensors of tokens that another Worker sends', () => {
  it('are paid for as a text is', async () => {
    const serving = new FakeServing([
      testModel('reads', 'public', {
        inputs: [{ name: 'input_ids', datatype: 'INT64', shape: [1, -1] }],
        outputs: [{ name: 'y', datatype: 'INT64', shape: [1, -1] }],
      }),
    ])
    const spent = new VergeError('budget_spent', 'The budget of the day is spent.')
    const limits = meteringOf({ tokens: 5, spent })
    const rpc = serviceOf(serving, limits.metering)
    const ids = { datatype: 'INT64' as const, data: BigInt64Array.of(101n, 7n, 102n), shape: [1, 3] }
    const run = () => rpc.run(CALL, 'reads', { tensors: { input_ids: ids } }, undefined)
    expect(await run()).toMatchObject({ ok: true })
    expect(await run()).toMatchObject({ ok: false, error: { code: 'budget_spent' } })
    expect(limits.usage).toMatchObject([{ inputTokens: 3 }, { inputTokens: 0, status: 429 }])
    expect(serving.runs).toHaveLength(1)
  })
})
