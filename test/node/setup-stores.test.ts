import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readAccount } from '../../src/cloudflare/account.ts'
import { CloudflareApi } from '../../src/cloudflare/api.ts'
import { HttpClient } from '../../src/cloudflare/http.ts'
import { RestKvNamespace } from '../../src/cloudflare/kv-namespace.ts'
import { S3Bucket } from '../../src/cloudflare/s3-bucket.ts'
import { authorization } from '../../src/cloudflare/s3-signature.ts'
import { KvStore } from '../../src/weights/kv.ts'
import { R2Store } from '../../src/weights/r2.ts'
import { storeContract } from '../contract/store.ts'
import { type StandIn, startStandIn } from '../fixtures/node/cloudflare-stand-in.ts'

let cloud: StandIn

beforeAll(async () => {
  cloud = await startStandIn()
  cloud.buckets.set('models', new Map())
  cloud.namespaces.set('kv-id', { title: 'copies', values: new Map() })
})
afterAll(() => cloud?.close())

const http = new HttpClient()

storeContract(
  'r2 over the S3 API',
  async () => {
    const account = readAccount(cloud.env)
    const credentials = await new CloudflareApi(http, account).s3Credentials()
    return new R2Store(new S3Bucket({ http, endpoint: account.r2, bucket: 'models', credentials }))
  },
  { conditional: true },
)

storeContract(
  'kv over the REST API',
  () => new KvStore(new RestKvNamespace(new CloudflareApi(http, readAccount(cloud.env)), 'kv-id')),
  { conditional: false },
)

/** The examples of "Signature Calculations for the Authorization Header" in Amazon's S3 API reference. */
describe('signature version 4', () => {
  const credentials = {
    accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
    secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
    region: 'us-east-1',
  }
  const date = '20130524T000000Z'
  const empty = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
  const host = 'examplebucket.s3.amazonaws.com'
  const signature = (request: Parameters<typeof authorization>[0]): string | undefined =>
    /Signature=(\w+)$/.exec(authorization(request, credentials, date))?.[1]

  it('signs a read of a range', () => {
    const headers = { host, range: 'bytes=0-9', 'x-amz-content-sha256': empty, 'x-amz-date': date }
    expect(signature({ method: 'GET', path: '/test.txt', query: {}, headers, bodySha256: empty })).toBe(
      'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
    )
  })

  it('signs a write', () => {
    const bodySha256 = '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072'
    const headers = {
      date: 'Fri, 24 May 2013 00:00:00 GMT',
      host,
      'x-amz-content-sha256': bodySha256,
      'x-amz-date': date,
      'x-amz-storage-class': 'REDUCED_REDUNDANCY',
    }
    expect(signature({ method: 'PUT', path: '/test%24file.text', query: {}, headers, bodySha256 })).toBe(
      '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
    )
  })

  it('signs a query', () => {
    const headers = { host, 'x-amz-content-sha256': empty, 'x-amz-date': date }
    const query = { prefix: 'J', 'max-keys': '2' }
    expect(signature({ method: 'GET', path: '/', query, headers, bodySha256: empty })).toBe(
      '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
    )
  })
})
