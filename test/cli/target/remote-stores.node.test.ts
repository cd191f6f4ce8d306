import { afterAll, beforeAll, expect, it } from 'vitest'
import { remoteStores } from '../../../src/cli/target/remote.ts'
import { readAccount } from '../../../src/cloudflare/account.ts'
import { CloudflareApi } from '../../../src/cloudflare/api.ts'
import { HttpClient } from '../../../src/cloudflare/http.ts'
import type { Store } from '../../../src/weights/store.ts'
import { pattern, storeContract } from '../../contract/store.ts'
import { type StandIn, startStandIn } from '../../fixtures/node/cloudflare-stand-in.ts'

const NAMESPACE = 'kv-id'

let cloud: StandIn

beforeAll(async () => {
  cloud = await startStandIn()
  cloud.buckets.set('models', new Map())
  cloud.namespaces.set(NAMESPACE, { title: 'copies', values: new Map() })
})
afterAll(() => cloud?.close())

const http = new HttpClient()

async function stores(): Promise<{ readonly truth: Store; readonly copies: readonly Store[] }> {
  const account = readAccount(cloud.env)
  const credentials = await new CloudflareApi(http, account).s3Credentials()
  return remoteStores(http, { account, credentials, bucket: 'models', namespaceId: NAMESPACE })
}

const copy = async (): Promise<Store> => (await stores()).copies[0] as Store

storeContract('the copies of an environment', copy, { conditional: false })

it('learns the size of a copy without reading it, unless another tool wrote it', async () => {
  const store = await copy()
  await store.put('noted', pattern(5_000))
  cloud.requests.length = 0
  expect(await store.head('noted')).toEqual({ bytes: 5_000 })
  expect(await store.head('absent')).toBeNull()
  // Requests that a test before this one gave up on may still arrive.
  expect(cloud.requests.filter((request) => /\/values\/(noted|absent)$/.test(request))).toEqual([])
  cloud.namespaces.get(NAMESPACE)?.values.set('foreign', { body: Buffer.alloc(70_000), metadata: null })
  expect(await store.head('foreign')).toEqual({ bytes: 70_000 })
})
