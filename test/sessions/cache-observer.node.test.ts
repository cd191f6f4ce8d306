import { expect, it } from 'vitest'
import type { SessionRequest } from '../../src/sessions/use.ts'
import { testContext } from '../fixtures/clock.ts'
import { BareSession, sessionCache } from '../fixtures/sessions.ts'

function requestOf(model: string, bytes: number, load: SessionRequest['load']): SessionRequest {
  return { key: model, of: { model, version: '1' }, bytes, pinned: false, load }
}

it('tells of loads, failed ones too, and of sessions that leave for others, and says what each holds of what it may', async () => {
  const told: string[] = []
  const { cache } = sessionCache(100, {
    loaded: ({ model, version }, ok) => told.push(`${model}@${version} ${ok ? 'loaded' : 'failed'}`),
    evicted: ({ model }) => told.push(`${model} evicted`),
  })
  const use = (model: string, bytes: number, held: number) =>
    cache.use(
      requestOf(model, bytes, async () => new BareSession(held)),
      testContext(),
      async () => {},
    )
  await use('small', 60, 30)
  await use('small', 60, 30)
  expect(cache.memory).toEqual([{ model: 'small', usedBytes: 30, grantedBytes: 60 }])
  await use('large', 50, 70)
  const broken = requestOf('broken', 10, () => Promise.reject(new Error('no model')))
  await expect(cache.use(broken, testContext(), async () => {})).rejects.toThrow('no model')
  expect(told).toEqual(['small@1 loaded', 'small evicted', 'large@1 loaded', 'broken@1 failed'])
  expect(cache.memory).toEqual([{ model: 'large', usedBytes: 70, grantedBytes: 50 }])
})
