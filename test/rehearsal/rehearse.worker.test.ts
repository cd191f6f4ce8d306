import { describe, expect, it } from 'vitest'
import { assemble, type Verge } from '../../src/assemble/assemble.ts'
import type { Env } from '../../src/assemble/env.ts'
import type { Platform } from '../../src/assemble/shared.ts'
import { parseConfig } from '../../src/config/config.ts'
import { rehearse } from '../../src/rehearsal/rehearse.ts'

/** Rehearses with a real Worker. @returns what it answered, which a rehearsal itself does not look at */
async function answers(change: (env: Env) => Env = (env) => env): Promise<Response[]> {
  const given: Response[] = []
  await rehearse(async (env: Env, platform: Platform): Promise<Verge> => {
    const made = assemble(change(env), await parseConfig(env), platform)
    const { app } = made
    const fetch = app.fetch.bind(app)
    app.fetch = async (...asked: Parameters<typeof fetch>) => {
      const answer = await fetch(...asked)
      given.push(answer)
      return answer
    }
    return made
  })
  return given
}

describe('a rehearsal', () => {
  it('runs its model for a request in binary and for one in JSON', async () => {
    const [binary, json] = await answers()
    expect(binary?.status).toBe(200)
    expect(binary?.headers.get('verge-placement')).toMatch(/^edge;artifact="rehearsal";start=cold/)
    expect(binary?.headers.get('inference-header-content-length')).not.toBeNull()
    expect(json?.headers.get('verge-placement')).toMatch(/start=warm/)
    const { outputs } = await (json as Response).json<{ outputs: { name: string; data: number[] }[] }>()
    expect(outputs.map(({ name }) => name)).toEqual(['encoded', 'classified', 'seen'])
    // Weights of 0 give results of 0, and equal shares.
    expect(outputs.map(({ data }) => [data.length, new Set(data)])).toEqual([
      [4 * 32, new Set([0])],
      [2, new Set([0.5])],
      [8, new Set([0])],
    ])
  })

  it('ends without a failure where the Worker refuses, as it does where no answer can be made', async () => {
    const empty = { getWithMetadata: async () => ({ value: null, metadata: null }) }
    const [refused] = await answers((env) => ({ ...env, KV: empty as unknown as KVNamespace }))
    expect(refused?.status).toBe(503)
  })

  it('leaves a failure to put a Worker together to its caller', async () => {
    const broken = new Error('not bound')
    await expect(rehearse(() => Promise.reject(broken))).rejects.toBe(broken)
  })
})
