import { describe, expect, it } from 'vitest'
import { parseServerTiming } from '../../../page/result/server-timing.ts'
import { duration, textWaterfall, waterfall } from '../../../page/result/waterfall.ts'

const bars = (header: string | undefined, totalMs: number, place: 'browser' | 'edge' | 'origin' = 'edge') =>
  waterfall(parseServerTiming(header), totalMs, place)

describe('waterfall', () => {
  it('lays the parts one after the other, in the order in which they happen, and the rest behind them', () => {
    const { note, steps, totalMs } = bars('run;dur=5, load;dur=30, queue;dur=1', 50)
    expect(totalMs).toBe(50)
    expect(note).toBeUndefined()
    expect(steps.map(({ ms, name, startMs }) => [name, startMs, ms])).toEqual([
      ['load', 0, 30],
      ['queue', 30, 1],
      ['run', 31, 5],
      ['rest', 36, 14],
    ])
    for (const { explanation, label } of steps)
      expect([label.length, explanation.length > 20]).toEqual([label.length, true])
  })

  it('says so where parts together are longer than the request', () => {
    const { note, steps, totalMs } = bars('load;dur=30, run;dur=10', 35)
    expect(totalMs).toBe(40)
    expect(steps.map(({ name }) => name)).toEqual(['load', 'run'])
    expect(note).toContain('at the same time')
  })

  it('says why the edge measured no run', () => {
    expect(bars('load;dur=30', 35).note).toContain('stands still')
    expect(bars(undefined, 35).steps.map(({ name }) => name)).toEqual(['rest'])
    expect(bars(undefined, 35, 'browser').note).toBeUndefined()
  })

  it('shows parts that it does not know, by their description, and leaves out those without a time', () => {
    const { steps } = bars('run;dur=5, decode;dur=2;desc="PNG decoder", hit', 10)
    expect(steps.map(({ label }) => label)).toEqual(['Run', 'PNG decoder', 'Network and rest'])
  })

  it('does not draw a total beside its parts', () => {
    expect(bars('run;dur=5, total;dur=9', 10).steps.map(({ name }) => name)).toEqual(['run', 'rest'])
  })

  it('names nothing in the browser a network', () => {
    expect(bars('run;dur=5', 10, 'browser').steps.at(-1)?.label).toBe('Rest')
  })
})

describe('textWaterfall', () => {
  it('has the first part of a text, and the rest of it', () => {
    const { steps, totalMs } = textWaterfall({ firstMs: 20, finishReason: 'stop', tokens: undefined }, 50)
    expect(totalMs).toBe(50)
    expect(steps.map(({ label, ms, startMs }) => [label, startMs, ms])).toEqual([
      ['First part', 0, 20],
      ['Text', 20, 30],
    ])
  })

  it.each([
    [undefined, 30, undefined],
    [1, 30, '1 token.'],
    [11, 100, '11 tokens; 100 a second after the first.'],
    [3, 0, '3 tokens.'],
  ])('says how fast %s tokens were written in %d ms', (tokens, ms, note) => {
    expect(textWaterfall({ firstMs: 20, finishReason: 'stop', tokens }, 20 + ms).note).toBe(note)
  })
})

describe('duration', () => {
  it.each([
    [0.04, '0.0 ms'],
    [4.25, '4.3 ms'],
    [31.4, '31 ms'],
    [1234, '1.23 s'],
    [61_234, '61.2 s'],
  ])('writes %d ms as people read it', (ms, text) => {
    expect(duration(ms)).toBe(text)
  })
})
