import { describe, expect, it } from 'vitest'
import type { Blob } from '../../src/catalog/manifest.ts'
import { VergeError } from '../../src/core/errors.ts'
import { FileCache } from '../../src/serving/files.ts'
import { ManualClock, settle, testContext } from '../fixtures/clock.ts'

const blob = (name: string, bytes: number): Blob => ({ sha256: name.padEnd(64, '0'), bytes, chunks: [] })
const MODEL = { model: 'm', files: { small: blob('a', 40), other: blob('b', 40), large: blob('c', 80) } }

function setup() {
  const clock = new ManualClock()
  const reads: string[] = []
  const open: { end: (failure?: unknown) => void }[] = []
  const cache = new FileCache({
    clock,
    staleMs: 5000,
    pollMs: 10,
    budgetBytes: 100,
    read(_, name) {
      reads.push(name)
      return new Promise((resolve, reject) =>
        open.push({ end: (failure) => (failure === undefined ? resolve(new Uint8Array(1)) : reject(failure)) }),
      )
    },
  })
  const end = async (failure?: unknown): Promise<void> => {
    for (const each of open.splice(0)) each.end(failure)
    await settle()
  }
  let parsed = 0
  const file = (name: string) => ({ name, parse: () => `${name} ${++parsed}` })
  return { cache, clock, end, file, reads }
}

describe('a file that is read ahead', () => {
  it('is there for its request, parsed once', async () => {
    const { cache, end, file, reads } = setup()
    const context = testContext()
    cache.prefetch(MODEL, file('small'), context)
    await end()
    expect(await cache.get(MODEL, file('small'), context)).toBe('small 1')
    expect(reads).toEqual(['small'])
  })

  it('is waited for by its request without a look at the clock', async () => {
    const { cache, end, file, reads } = setup()
    const context = testContext()
    cache.prefetch(MODEL, file('small'), context)
    const got = cache.get(MODEL, file('small'), context)
    await end()
    expect([await got, reads]).toEqual(['small 1', ['small']])
  })

  it('is kept when its request leaves', async () => {
    const { cache, end, file, reads } = setup()
    const context = testContext()
    cache.prefetch(MODEL, file('small'), context)
    context.abort()
    await end()
    expect(await cache.get(MODEL, file('small'), testContext())).toBe('small 1')
    expect(reads).toEqual(['small'])
  })

  it('has no other file go', async () => {
    const { cache, end, file, reads } = setup()
    cache.prefetch(MODEL, file('small'), testContext())
    await end()
    cache.prefetch(MODEL, file('large'), testContext())
    cache.prefetch(MODEL, file('other'), testContext())
    await end()
    expect(reads).toEqual(['small', 'other'])
  })

  it('has no other file that is being read go', async () => {
    const { cache, end, file, reads } = setup()
    for (const name of ['small', 'large', 'other']) cache.prefetch(MODEL, file(name), testContext())
    expect(reads).toEqual(['small', 'other'])
    await end()
    expect(await cache.get(MODEL, file('small'), testContext())).toBe('small 1')
  })

  it('is promised no room for ever where its request was killed', async () => {
    const { cache, clock, file, reads } = setup()
    cache.prefetch(MODEL, file('small'), testContext())
    await clock.advance(5100)
    cache.prefetch(MODEL, file('large'), testContext())
    expect(reads).toEqual(['small', 'large'])
  })

  it('is not read twice, and not where the model has none', async () => {
    const { cache, end, file, reads } = setup()
    cache.prefetch(MODEL, file('small'), testContext())
    cache.prefetch(MODEL, file('small'), testContext())
    cache.prefetch(MODEL, file('toString'), testContext())
    await end()
    cache.prefetch(MODEL, file('small'), testContext())
    expect(reads).toEqual(['small'])
  })

  it('that cannot be read fails who waits for it alone, and is read again', async () => {
    const { cache, end, file, reads } = setup()
    const context = testContext()
    cache.prefetch(MODEL, file('small'), context)
    const got = cache.get(MODEL, file('small'), context).catch((error: unknown) => error)
    const failure = new VergeError('weights_unavailable', 'gone')
    await end(failure)
    expect(await got).toBe(failure)
    const again = cache.get(MODEL, file('small'), context)
    await end()
    expect([await again, reads]).toEqual(['small 1', ['small', 'small']])
  })
})

it('answers a request whose read was so slow that another one read the file, too', async () => {
  const { cache, clock, end, file, reads } = setup()
  const slow = cache.get(MODEL, file('small'), testContext())
  await clock.advance(5100)
  const other = cache.get(MODEL, file('small'), testContext())
  await settle()
  await end()
  expect([await other, await slow, reads]).toEqual(['small 2', 'small 1', ['small', 'small']])
})
