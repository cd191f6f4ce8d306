import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readAccount } from '../../src/cloudflare/account.ts'
import { CloudflareApi } from '../../src/cloudflare/api.ts'
import { HttpClient } from '../../src/cloudflare/http.ts'
import { RestKvNamespace } from '../../src/cloudflare/kv-namespace.ts'
import { S3Bucket } from '../../src/cloudflare/s3-bucket.ts'
import { signedHeaders } from '../../src/cloudflare/s3-signing.ts'
import { parseErrorCode, parseList } from '../../src/cloudflare/s3-xml.ts'
import { KvStore } from '../../src/weights/kv.ts'
import { R2Store } from '../../src/weights/r2.ts'
import { storeContract } from '../contract/store.ts'
import { type StandIn, startStandIn } from '../fixtures/node/cloudflare-stand-in.ts'
import { authorization } from '../fixtures/node/s3-signature.ts'

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

/**
 * The examples of "Signature Calculations for the Authorization Header" in Amazon's S3 API reference, for what signs
 * requests and for what checks them in the stand-in.
 */
describe('signature version 4', () => {
  const credentials = {
    accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
    secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
    region: 'us-east-1',
  }
  const date = '20130524T000000Z'
  const empty = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
  const written = '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072'
  const host = 'examplebucket.s3.amazonaws.com'
  const writing = { date: 'Fri, 24 May 2013 00:00:00 GMT', 'x-amz-storage-class': 'REDUCED_REDUNDANCY' }

  it.each([
    {
      what: 'a read of a range',
      method: 'GET',
      path: '/test.txt',
      query: {},
      headers: { range: 'bytes=0-9' },
      bodySha256: empty,
      signature: 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
    },
    {
      what: 'a write',
      method: 'PUT',
      path: '/test%24file.text',
      query: {},
      headers: writing,
      bodySha256: written,
      signature: '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
    },
    {
      what: 'a query',
      method: 'GET',
      path: '/',
      query: { prefix: 'J', 'max-keys': '2' },
      headers: {},
      bodySha256: empty,
      signature: '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
    },
  ])('signs $what', async ({ method, path, query, headers, bodySha256, signature }) => {
    const origin = new URL(`https://${host}`)
    const search = new URLSearchParams(query).toString()
    const sent = { ...headers, 'x-amz-content-sha256': bodySha256 }
    const signed = await signedHeaders(
      { method, origin, path, search, headers: sent },
      credentials,
      Date.UTC(2013, 4, 24),
    )
    expect(signed).toMatchObject({ ...sent, 'x-amz-date': date })
    expect(signed.authorization).toMatch(new RegExp(`Signature=${signature}$`))
    const checked = { method, path, query, headers: { ...sent, host, 'x-amz-date': date }, bodySha256 }
    expect(authorization(checked, credentials, date)).toMatch(new RegExp(`Signature=${signature}$`))
  })
})

describe('an answer in XML', () => {
  const list = (inside: string, before = '<?xml version="1.0" encoding="UTF-8"?>\n') =>
    `${before}<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${inside}</ListBucketResult>`
  const entry = (key: string, more = '') =>
    `<Contents><Key>${key}</Key><LastModified>2026-11-29T00:00:00.000Z</LastModified><ETag>&quot;e&#x34;2&quot;</ETag><Size>3</Size>${more}</Contents>`
  const END = '<IsTruncated>false</IsTruncated>'

  it('is read as the service writes it', () => {
    const owner = '<Owner><ID>1</ID><DisplayName>x</DisplayName></Owner>'
    const page = `<Name>models</Name><Prefix>alias%2F</Prefix>${entry('alias%2Fone', owner)}${entry('alias%2Fa+b')}<IsTruncated>true</IsTruncated><NextContinuationToken>1&amp;2</NextContinuationToken><KeyCount>2</KeyCount>`
    expect(parseList(list(page), 'alias/', 1000)).toEqual({
      objects: [
        { key: 'alias/one', size: 3, etag: 'e42' },
        { key: 'alias/a b', size: 3, etag: 'e42' },
      ],
      truncated: true,
      cursor: '1&2',
    })
    expect(parseList(list(END), '', 1000)).toEqual({ objects: [], truncated: false })
    const error = '<?xml version="1.0"?><Error><Code>NoSuchKey</Code><Message>no &lt;key&gt;</Message></Error>'
    expect(parseErrorCode(error)).toBe('NoSuchKey')
  })

  it.each([
    ['an entity of its own', list(`${END}${entry('a&x;')}`, '<!DOCTYPE l [<!ENTITY x "b">]>')],
    ['entities that grow', list(`${END}${entry('&b;')}`, '<!DOCTYPE l [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>')],
    ['a second document', `${list(END)}${list(END)}`],
    ['text behind it', `${list(END)}more`],
    ['a tag that is not closed', list(`${END}<Contents><Key>a</Key><Size>3</Size>`)],
    ['tags that cross', list(`${END}<Contents><Key>a</Contents></Key>`)],
    ['two answers to whether more follows', list(`${END}<IsTruncated>true</IsTruncated>`)],
    ['an entry with two keys', list(`${END}${entry('a', '<Key>b</Key>')}`)],
    ['a key with elements inside', list(`${END}${entry('a<b>c</b>')}`)],
    ['an entry without a size', list(`${END}<Contents><Key>a</Key></Contents>`)],
    ['an entry inside an entry', list(`${END}${entry('a', entry('b'))}<KeyCount>2</KeyCount>`)],
    ['an escape that is cut off', list(`${END}${entry('a%2')}`)],
    ['more keys than were asked for', list(`${END}${entry('a').repeat(3)}`)],
    ['elements too deep', list(`${END}${'<a>'.repeat(100_000)}${'</a>'.repeat(100_000)}`)],
    ['another root', `<Error>${END}</Error>`],
  ])('with %s is not understood', (_what, text) => {
    expect(parseList(text, '', 2)).toBeNull()
  })

  it('lists no entry of a comment or of character data', () => {
    const hidden = `<!-- ${entry('a')} --><Prefix><![CDATA[${entry('b')}]]></Prefix>${END}`
    expect(parseList(list(hidden), '', 1000)).toEqual({ objects: [], truncated: false })
  })

  it('names no code from anything but an error', () => {
    for (const text of [
      '',
      '<html><Code>NoSuchKey</Code></html>',
      '<Error><Code>NoSuchKey</Code>',
      '<Error><Code>a b</Code></Error>',
    ]) {
      expect(parseErrorCode(text), text).toBeUndefined()
    }
  })
})
