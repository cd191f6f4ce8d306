import { describe, expect, it } from 'vitest'
import { VergeError } from '../../src/core/errors.ts'
import { TextSpan } from '../../src/serving/text-span.ts'
import { pathsOf, tracing } from '../fixtures/traces.ts'

const FAILURE = new VergeError('session_lost', 'words of an engine')

/** A text of three tokens, 10 ms each, after 30 ms in the queue. */
function recorded(options: { readonly rate?: number; readonly fails?: boolean } = {}) {
  const traces = tracing(options.rate ?? 1)
  const { arrival, clock, exported, tracer } = traces
  const left = new AbortController()
  let span: TextSpan | undefined
  async function* written(): AsyncGenerator<number, undefined> {
    await clock.advance(30)
    span?.turned()
    for (const token of [7, 8, 9]) {
      // Steps of a text have no spans of their own.
      await tracer.span('run', {}, () => clock.advance(10))
      if (options.fails === true && token === 9) throw FAILURE
      yield token
    }
  }
  const open = () =>
    tracer.request(arrival, async () => {
      span = TextSpan.open(tracer, { format: 'onnx', prompt: 5, signal: left.signal })
      return span?.around(written()) ?? written()
    })
  return { ...traces, open, left, run: async () => (await exported()).find(({ name }) => name === 'run') }
}

const at = (nanos: string | undefined): number => Number(nanos?.slice(-12, -6))

describe('a text that is recorded', () => {
  it('has one span, to its last token, with the wait, the first token and the counts', async () => {
    const { exported, open, run } = recorded()
    const tokens: number[] = []
    // Read when the request's own work is over, as the body of an answer is.
    for await (const token of await open()) tokens.push(token)
    expect(tokens).toEqual([7, 8, 9])
    expect(pathsOf(await exported()).sort()).toEqual(['POST', 'POST > run', 'POST > run > queue'])
    const span = await run()
    expect([at(span?.startTimeUnixNano), at(span?.endTimeUnixNano)]).toEqual([0, 60])
    expect(span?.events).toMatchObject([{ name: 'first_token', timeUnixNano: '1790000000040000000' }])
    expect(span?.attributes).toEqual({
      'verge.artifact.format': 'onnx',
      'gen_ai.usage.input_tokens': 5,
      'gen_ai.usage.output_tokens': 3,
    })
  })

  it.each([
    ['a stop string', false, undefined],
    ['its reader, who has left', true, 'cancelled'],
  ])('ends with %s', async (_, leaves, code) => {
    const { left, open, run } = recorded()
    for await (const token of await open()) {
      if (token !== 8) continue
      if (leaves) left.abort()
      break
    }
    const span = await run()
    expect([at(span?.endTimeUnixNano), span?.attributes['error.type']]).toEqual([50, code])
    expect(span?.attributes['gen_ai.usage.output_tokens']).toBe(2)
    expect(span?.status.code).toBe(0)
  })

  it('says by a code why it failed', async () => {
    const { exported, open, run } = recorded({ fails: true })
    const tokens = await open()
    const read = async () => {
      for (let step = await tokens.next(); !step.done; step = await tokens.next());
    }
    await expect(read()).rejects.toBe(FAILURE)
    await tokens.return?.()
    expect(await run()).toMatchObject({
      attributes: { 'error.type': 'session_lost', 'gen_ai.usage.output_tokens': 2 },
      status: { code: 2 },
    })
    expect(JSON.stringify(await exported())).not.toContain('words')
  })

  it('is as it was where its request is not', async () => {
    const { exported, open } = recorded({ rate: 0 })
    expect((await open()).constructor.name).not.toBe('Object')
    expect(await exported()).toEqual([])
  })
})
