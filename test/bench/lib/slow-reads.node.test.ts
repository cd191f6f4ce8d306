import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { type Read, roundsOf, SlowReads, untilQuiet } from '../../../bench/lib/slow-reads.ts'

const read = (begun: number, ended?: number): Read => ({
  store: 'kv',
  keys: ['key'],
  begun,
  ...(ended !== undefined && { ended }),
})

describe('rounds of reads', () => {
  it('are as many as reads that began one after the end of the other', () => {
    expect(roundsOf([])).toBe(0)
    expect(roundsOf([read(1, 2), read(3, 4), read(5, 6)])).toBe(3)
    expect(roundsOf([read(1, 4), read(2, 5), read(3, 6)])).toBe(1)
    // Two chains beside each other: the longer one counts.
    expect(roundsOf([read(1, 4), read(2, 3), read(5, 6), read(7)])).toBe(3)
    expect(roundsOf([read(3), read(1, 2)])).toBe(2)
  })
})

describe('slow reads', () => {
  const namespace = {
    get: async (keys: readonly string[]) => new Map(keys.map((key) => [key, `value of ${key}`])),
    getWithMetadata: async (key: string) => ({ value: `value of ${key}`, metadata: null }),
    list: async () => ({ keys: [] }),
  }
  const bucket = { get: async (key: string) => ({ key }), head: async () => Promise.reject(new Error('not there')) }
  const slow = () => new SlowReads(untilQuiet(() => setImmediate()))

  it('note what is read of either store, and when', async () => {
    const reads = slow()
    const kv = reads.kv(namespace)
    const r2 = reads.r2(bucket)
    expect((await kv.getWithMetadata('first')).value).toBe('value of first')
    const both = await Promise.all([kv.get(['a', 'b']), r2.get('c')])
    expect(both).toEqual([
      new Map([
        ['a', 'value of a'],
        ['b', 'value of b'],
      ]),
      { key: 'c' },
    ])
    await expect(r2.head()).rejects.toThrow('not there')
    await kv.list()
    expect(reads.reads.map(({ keys, store }) => [store, ...keys])).toEqual([
      ['kv', 'first'],
      ['kv', 'a', 'b'],
      ['r2', 'c'],
      ['r2', 'undefined'],
    ])
    expect(roundsOf(reads.reads)).toBe(3)
  })

  it('that begin some turns of the event loop apart are one round', async () => {
    const reads = slow()
    const kv = reads.kv(namespace)
    const later = async () => {
      for (let turn = 0; turn < 5; turn++) await setImmediate()
      return kv.getWithMetadata('second')
    }
    await Promise.all([kv.getWithMetadata('first'), later()])
    expect(roundsOf(reads.reads)).toBe(1)
  })

  it('find nothing in a namespace without copies', async () => {
    const kv = slow().kv(namespace, { missing: true })
    expect(await kv.getWithMetadata('first')).toEqual({ value: null, metadata: null })
    expect(await kv.get(['a'])).toEqual(new Map([['a', null]]))
  })
})
