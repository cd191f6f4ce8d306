import { describe, expect, it } from 'vitest'
import type { Caller, GrantedCaller } from '../../../src/access/authorize.ts'
import { grantSchema } from '../../../src/access/grant.ts'
import type { OperationsBody } from '../../../src/protocols/verge/operations.ts'
import { testApp } from '../../fixtures/http.ts'

const BODY = { health: 'ok' } as OperationsBody

const key = (models: string[], actions: string[]): GrantedCaller => ({
  kind: 'granted',
  by: 'key',
  principal: 'key:one',
  name: 'One',
  grant: grantSchema.parse({ models, actions }),
})

async function ask(caller: Caller, operations: { read(): Promise<OperationsBody> } | undefined) {
  const response = await testApp({ caller, ...(operations && { operations }) }).request('/v1/operations')
  const body = (await response.json()) as { health?: string; error?: { code: string } }
  return [response.status, body.health ?? body.error?.code]
}

describe('GET /v1/operations', () => {
  it('is for the operator, and for keys that may see the metrics of all models', async () => {
    let reads = 0
    const operations = {
      read: async () => {
        reads++
        return BODY
      },
    }
    expect(await ask({ kind: 'operator' }, operations)).toEqual([200, 'ok'])
    expect(await ask(key(['*'], ['metrics']), operations)).toEqual([200, 'ok'])
    expect(reads).toBe(2)
    expect(await ask(key(['digits', 'a*'], ['metrics']), operations)).toEqual([403, 'forbidden'])
    expect(await ask(key(['*'], ['infer']), operations)).toEqual([403, 'forbidden'])
    expect(await ask({ kind: 'anonymous' }, operations)).toEqual([401, 'unauthorized'])
    expect(await ask({ kind: 'service', name: 'site' }, operations)).toEqual([403, 'forbidden'])
    expect(reads).toBe(2)
  })

  it('is not answered by a server that knows itself alone', async () => {
    expect(await ask({ kind: 'operator' }, undefined)).toEqual([501, 'not_implemented'])
  })
})
