import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../src/core/limits.ts'
import { silentLogger, systemClock } from '../../src/core/runtime.ts'
import { WorkLane } from '../../src/core/work.ts'
import type { ForwardedRequest, Placement, Route, RouteFacts } from '../../src/placement/placement.ts'
import { RpcService } from '../../src/rpc/service.ts'
import { BoundedAdmission } from '../../src/serving/admission.ts'
import { FakeServing, testModel } from '../fixtures/http.ts'
import { END, wordsTokenizer } from '../fixtures/language.ts'

/** Its texts cannot be written at the edge. */
const writer = testModel(
  'writer',
  'public',
  {
    task: 'text-generation',
    inputs: [{ name: 'input_ids', datatype: 'INT64', shape: [-1, -1] }],
    outputs: [],
    generation: { contextLength: 64, stopTokens: [END] },
  },
  { files: { 'tokenizer.json': wordsTokenizer() } },
)

/** @param places slots of the isolate; an origin is asked where none is free or where the edge has failed */
function setUp(places: number) {
  const clock = systemClock
  const serving = new FakeServing([writer])
  const asked: RouteFacts[] = []
  const sent: ForwardedRequest[] = []
  const admissionOf = (most: number) => new BoundedAdmission({ slots: most, bodyBytes: 10_000, leaseMs: 60_000, clock })
  const placement: Placement = {
    admission: admissionOf(4),
    route: async (_, facts): Promise<Route> => {
      asked.push(facts)
      return {
        forward: facts.full || facts.failed === true,
        fallback: false,
        send: async (request) => {
          sent.push(request)
          const response = Response.json([{ generated_text: 'written there' }])
          return { response, origin: 'fra', reason: 'edge-full', attempts: 1 }
        },
        giveUpOrigins: () => {},
        checkCost: (...args) => serving.checkCost(...args),
        prefetch: (...args) => serving.prefetch(...args),
        run: (...args) => serving.run(...args),
        generate: (...args) => serving.generate(...args),
      }
    },
    reaches: () => true,
    explain: async () => null,
  }
  const rpc = new RpcService({
    serving,
    placement,
    admission: admissionOf(places),
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
  const write = () => rpc.run({ props: undefined, waitUntil: () => {} }, 'writer', 'a b', undefined)
  return { asked, sent, write }
}

describe('a text that another Worker asks for', () => {
  it('is passed on to an origin where every slot of the isolate is taken', async () => {
    const { asked, sent, write } = setUp(0)
    expect(await write()).toMatchObject({ ok: true, answer: [{ generated_text: 'written there' }] })
    expect(asked.map(({ failed, full }) => [failed, full])).toEqual([[false, true]])
    expect(sent[0]).toMatchObject({ path: '/run/writer', caller: '', wholeText: true })
    expect(JSON.parse(new TextDecoder().decode(sent[0]?.body as Uint8Array))).toEqual({ inputs: 'a b' })
  })

  it('is passed on where the edge fails, by a second decision that knows of the failure', async () => {
    const { asked, write } = setUp(1)
    expect(await write()).toMatchObject({ ok: true, answer: [{ generated_text: 'written there' }] })
    expect(asked.map(({ failed, full }) => [failed, full])).toEqual([
      [false, false],
      [true, false],
    ])
  })
})
