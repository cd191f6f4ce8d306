import { describe, expect, it } from 'vitest'
import { floodGuard } from '../../src/access/flood.ts'
import { type LogFields, type Logger, silentLogger } from '../../src/core/runtime.ts'

describe("a limit of the platform's", () => {
  it('refuses what goes beyond it, for each key', async () => {
    const left = new Map([
      ['a', 1],
      ['b', 2],
    ])
    const guard = floodGuard(
      {
        limit: async ({ key }) => {
          const of = left.get(key) ?? 0
          left.set(key, of - 1)
          return { success: of > 0 }
        },
      },
      silentLogger,
    )
    await guard('a')
    await guard('b')
    await expect(guard('a')).rejects.toMatchObject({
      code: 'rate_limited',
      retryAfter: 60,
      details: { limit: 'platform' },
    })
    await guard('b')
    // what has no key is nobody's
    await guard('')
    expect([...left.keys()]).toEqual(['a', 'b'])
  })

  it('refuses nobody where it fails, and the log says so', async () => {
    const logged: [string, LogFields | undefined][] = []
    const logger: Logger = { ...silentLogger, warn: (event, fields) => logged.push([event, fields]) }
    await floodGuard({ limit: () => Promise.reject(new Error('away')) }, logger)('a')
    expect(logged).toEqual([['rate_limit_failed', { error: new Error('away') }]])
  })
})
