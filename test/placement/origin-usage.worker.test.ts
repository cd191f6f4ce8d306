import { describe, expect, it } from 'vitest'
import {
  bookUsage,
  bookWork,
  readBounds,
  readUsage,
  UsageReader,
  usageComment,
  watched,
  writeBounds,
  writeUsage,
} from '../../src/placement/origin-usage.ts'
import { openLedger } from '../../src/serving/ledger.ts'

const TAKEN = { ...openLedger(), units: 12.3456, inputTokens: 7, outputTokens: 3 }
const utf8 = new TextEncoder()

describe('what an origin took', () => {
  it('crosses in a header, with the three digits that the standard has', () => {
    expect(writeUsage(TAKEN)).toBe('units=12.346, input-tokens=7, output-tokens=3')
    expect(readUsage(writeUsage(TAKEN))).toEqual({ units: 12.346, inputTokens: 7, outputTokens: 3 })
  })

  it.each([null, '', 'nothing', 'units=', 'units=-1', 'units=1e9', 'xunits=4'])('is nothing in %j', (header) => {
    expect(readUsage(header)).toBeUndefined()
  })

  it('is its time, with a price where it has one, and what it says beside that', () => {
    const ledger = openLedger()
    bookUsage(ledger, undefined, { ms: 40, usdPerHour: undefined })
    expect(ledger).toMatchObject({ units: 0, originUnits: 0, originMs: 40, originUsd: 0 })
    bookUsage(ledger, readUsage(writeUsage(TAKEN)), { ms: 1_800_000, usdPerHour: 3 })
    expect(ledger).toMatchObject({ units: 12.346, originUnits: 12.346, inputTokens: 7, outputTokens: 3 })
    expect(ledger).toMatchObject({ originMs: 1_800_040, originUsd: 1.5 })
  })

  it('is no less than no time, where the clock was set back', () => {
    const ledger = openLedger()
    bookWork(ledger, { ms: -5, units: 2, usdPerHour: 3 })
    expect(ledger).toMatchObject({ units: 0, originUnits: 2, originMs: 0, originUsd: 0 })
  })

  const read = (text: string, streamed = true, piece = 5) => {
    const reader = new UsageReader()
    const bytes = utf8.encode(text)
    for (let at = 0; at < bytes.length; at += piece) reader.push(bytes.subarray(at, at + piece))
    return reader.usage(streamed)
  }

  it('stands in a comment of a stream from an origin of ours', () => {
    const text = `data: {"choices":[]}\n\n${usageComment(TAKEN)}data: [DONE]\n\n`
    expect(read(text)).toEqual({ units: 12.346, inputTokens: 7, outputTokens: 3 })
  })

  it("stands in OpenAI's counts", () => {
    const usage = '"usage":{"prompt_tokens":11,"total_tokens":15,"completion_tokens":4,"prompt_tokens_details":null}'
    expect(read(`{"choices":[],${usage}}`, false)).toEqual({ inputTokens: 11, outputTokens: 4 })
    expect(read(`data: {"choices":[],${usage}}\n\ndata: [DONE]\n\n`)).toEqual({ inputTokens: 11, outputTokens: 4 })
  })

  it('is no text that looks like counts', () => {
    const posed = JSON.stringify({ choices: [{ text: '"prompt_tokens":0,"completion_tokens":0' }] })
    expect(read(posed, false)).toBeUndefined()
  })

  it('is an event for each token where a stream has no counts', () => {
    expect(read('data: {"a":1}\n\ndata: {"a":2}\n\ndata: [DONE]\n\n', true, 1000)).toEqual({ outputTokens: 2 })
    expect(read('{"label":"cat"}', false)).toBeUndefined()
  })
})

describe('an answer that is watched', () => {
  const source = (pieces: number, failure?: Error) =>
    new ReadableStream<Uint8Array>({
      start(controller) {
        for (let i = 0; i < pieces; i++) controller.enqueue(Uint8Array.of(i))
        if (failure === undefined) controller.close()
      },
      pull(controller) {
        if (failure !== undefined) controller.error(failure)
      },
    })

  it('passes all bytes on, and tells of its end once', async () => {
    let ended = 0
    const pieces: number[] = []
    const body = watched(source(3), { push: (bytes) => pieces.push(...bytes) }, () => ended++)
    expect([...new Uint8Array(await new Response(body).arrayBuffer())]).toEqual([0, 1, 2])
    expect([pieces, ended]).toEqual([[0, 1, 2], 1])
  })

  it('tells of its end where the reader leaves, and where it breaks off', async () => {
    let ended = 0
    const left = watched(source(3), { push() {} }, () => ended++).getReader()
    await left.read()
    await left.cancel()
    expect(ended).toBe(1)
    const broken = watched(source(1, new Error('broken')), { push() {} }, () => ended++)
    await expect(new Response(broken).arrayBuffer()).rejects.toThrow()
    expect(ended).toBe(2)
  })
})

describe('bounds of a plan', () => {
  it('cross in a header', () => {
    const bounds = { batch: 8, maxTokens: 256, smallest: true, bodyBytes: 10 }
    expect(writeBounds(bounds)).toBe('batch=8, max-tokens=256, smallest')
    expect(readBounds('batch=8, max-tokens=256, smallest')).toEqual({ batch: 8, maxTokens: 256, smallest: true })
    expect(writeBounds({ smallest: false })).toBeUndefined()
  })

  it('bound nothing that is not understood', () => {
    expect(readBounds('batch=many, other=1')).toEqual({ batch: undefined, maxTokens: undefined, smallest: false })
  })
})
