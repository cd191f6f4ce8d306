import { describe, expect, it } from 'vitest'
import { UsageBook } from '../../../src/metering/usage/usage-book.ts'
import { OTHER_MODELS } from '../../../src/metering/usage/usage-by-day.ts'
import { counts } from '../../fixtures/usage.ts'

const row = (model: string, requests = 1) => ({ day: '2026-11-30', model, counts: counts({ requests }) })

function book(limits: { usagePrincipals?: number; usageRows?: number } = {}): UsageBook {
  return new UsageBook({ limits: { usagePrincipals: 10, usageRows: 10, ...limits }, randomId: () => 'isolate' })
}

describe('the book of an isolate', () => {
  it('gives what it has counted as one block, and the same one until that is booked', () => {
    const made = book()
    made.add('key:a', row('m@1'), 5)
    made.add('key:a', row('m@1', 2), 3)
    expect(made.pending('key:a')).toBe(3)
    const block = made.take('key:a')
    expect(block).toEqual({ source: 'isolate', seq: 1, lastUsedAt: 5, rows: [row('m@1', 3)] })
    made.add('key:a', row('n@1'), 7)
    expect(made.take('key:a')).toBe(block)
    made.booked('key:a', 1)
    expect(made.take('key:a')).toEqual({ source: 'isolate', seq: 2, lastUsedAt: 7, rows: [row('n@1')] })
  })

  it('has nothing to give for who did not call, and after everything was booked', () => {
    const made = book()
    made.add('key:a', row('m@1'), 1)
    made.take('key:a')
    made.booked('key:a', 1)
    expect(made.take('key:a')).toBeUndefined()
    expect(made.take('key:b')).toBeUndefined()
  })

  it('is not told of a block that it has not sent', () => {
    const made = book()
    made.add('key:a', row('m@1'), 1)
    const block = made.take('key:a')
    made.booked('key:a', 7)
    expect(made.take('key:a')).toBe(block)
  })

  it('counts models together beyond its rows, and has room again when they are booked', () => {
    const made = book({ usageRows: 2 })
    for (const model of ['a@1', 'b@1', 'c@1', 'd@1', 'a@1']) made.add('key:a', row(model), 1)
    expect(made.take('key:a')?.rows).toEqual([row('a@1', 2), row('b@1'), row(OTHER_MODELS, 2)])
    made.booked('key:a', 1)
    for (const model of ['c@1', 'd@1']) made.add('key:a', row(model), 1)
    expect(made.take('key:a')?.rows).toEqual([row('c@1'), row('d@1')])
  })

  it('says how many requests found no room', () => {
    const made = book({ usagePrincipals: 1 })
    made.add('key:a', row('m@1'), 1)
    made.add('key:b', row('m@1', 4), 1)
    expect(made.lost).toBe(4)
    expect(made.take('key:b')).toBeUndefined()
  })
})
