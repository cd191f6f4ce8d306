import { describe, expect, it } from 'vitest'
import type { Place } from '../../../page/models.ts'
import type { Answer, PanelRequest } from '../../../page/panels/request.ts'
import { comparable, compare, type PlaceResult, placesFor, RUNS } from '../../../page/result/comparison.ts'

const REQUEST: PanelRequest = { method: 'run', input: 'text' }

function answer(request: PanelRequest, place: Place, ms: number, output: unknown): Answer {
  const info = {
    status: 200,
    requestId: undefined,
    model: undefined,
    placement: undefined,
    cache: undefined,
    serverTiming: undefined,
    attempts: 1,
  }
  return { request, place, ms, output, info }
}

/** What is shown at the end, and every request that was sent. */
async function compared(
  outputs: Partial<Record<Place, unknown>>,
  request = REQUEST,
  stopAfter = Number.POSITIVE_INFINITY,
) {
  const aborter = new AbortController()
  const asked: (readonly [Place, PanelRequest])[] = []
  let shown: readonly PlaceResult[] = []
  const ask = async (sent: PanelRequest, place: Place): Promise<Answer> => {
    asked.push([place, sent])
    if (asked.length > stopAfter) aborter.abort()
    const output = outputs[place]
    if (output instanceof Error) throw output
    const run = asked.filter(([other]) => other === place).length
    return answer(sent, output === 'moved to the edge' ? 'edge' : place, run === 1 ? 100 : run, output)
  }
  await compare(
    request,
    Object.keys(outputs) as Place[],
    ask,
    aborter.signal,
    (results) => {
      shown = results
    },
    async (picture) => new Uint8Array(await picture.arrayBuffer()),
  )
  return { asked, shown }
}

describe('compare', () => {
  it('measures without the first run, and compares answers with those of the first place', async () => {
    const { asked, shown } = await compared({
      edge: [{ label: 'a', score: 0.5 }],
      browser: [{ label: 'a', score: 0.5 }],
      origin: [{ label: 'a', score: 0.75 }],
    })
    expect(asked.map(([place]) => place).join()).toBe(
      [...Array(RUNS + 1).fill('edge'), ...Array(RUNS + 1).fill('browser'), ...Array(RUNS + 1).fill('origin')].join(),
    )
    expect(shown.map(({ agreement, firstMs, p50Ms, runs }) => ({ agreement, firstMs, p50Ms, runs }))).toEqual([
      { agreement: undefined, firstMs: 100, p50Ms: 4, runs: RUNS },
      { agreement: { kind: 'same' }, firstMs: 100, p50Ms: 4, runs: RUNS },
      { agreement: { kind: 'close', largest: 0.25 }, firstMs: 100, p50Ms: 4, runs: RUNS },
    ])
  })

  it('shows what failed, and compares the others', async () => {
    const { shown } = await compared({ edge: new Error('The isolate is full.'), origin: [1], browser: [1] })
    expect(shown.map(({ failure }) => failure)).toEqual(['The isolate is full.', undefined, undefined])
    expect(shown[2]?.agreement).toEqual({ kind: 'same' })
  })

  it('of pictures says whether the bytes are the same, or how far the pixels differ', async () => {
    const { shown } = await compared({ edge: new Blob(['abc']), browser: new Blob(['abc']), origin: new Blob(['abf']) })
    expect(shown.map(({ agreement }) => agreement)).toEqual([
      undefined,
      { kind: 'same' },
      { kind: 'close', largest: 3 },
    ])
  })

  it('shows no time of a place that another one answered for', async () => {
    const { shown } = await compared({ edge: [1], browser: 'moved to the edge' })
    expect(shown[1]).toMatchObject({ firstMs: undefined, p50Ms: undefined, runs: 0 })
    expect(shown[1]?.failure).toContain('At the edge instead')
  })

  it('ends when it is stopped, and shows no failure for that', async () => {
    const { asked, shown } = await compared({ edge: [1], origin: [1] }, REQUEST, 3)
    expect(asked.length).toBeLessThan(RUNS + 1)
    expect(shown.map(({ failure }) => failure)).toEqual([undefined])
  })
})

describe('placesFor', () => {
  it('leaves out the browser where it does not answer', () => {
    expect(placesFor(REQUEST, ['edge', 'browser'])).toEqual(['edge', 'browser'])
    for (const method of ['chat', 'complete', 'rerank'] as const) {
      expect(placesFor({ method, input: 'x' }, ['edge', 'origin', 'browser'])).toEqual(['edge', 'origin'])
    }
  })
})

describe('comparable', () => {
  it('gives chance the same seed everywhere, and leaves what does not depend on chance', () => {
    expect(comparable(REQUEST)).toBe(REQUEST)
    const chat: PanelRequest = { method: 'chat', input: [], parameters: { temperature: 0 } }
    expect(comparable(chat)).toBe(chat)
    expect(comparable({ ...chat, parameters: { temperature: 1, seed: 4 } }).parameters).toEqual({
      temperature: 1,
      seed: 4,
    })
    expect(comparable({ method: 'chat', input: [] }).parameters).toEqual({ seed: 1 })
  })
})
