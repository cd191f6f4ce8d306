import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { checkScheme } from '../../../src/cli/source/http.ts'
import { openModelSource } from '../../../src/cli/source/source.ts'
import { identityModel, matmulModel } from '../../../synthetic/onnx-models.ts'
import { listen, type Reply, ranged, send, stop } from '../../fixtures/node/hub-stand-in.ts'
import { messageOf, type TestSource, testSource, withExternalData } from '../../fixtures/node/source-options.ts'

const MODEL = Buffer.from(matmulModel(1 << 20))
const OTHER = Buffer.from(identityModel('FP32', [1]))
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

let source: TestSource
let servers: Server[]
/** What the first and the second server answer. */
let answers: [(request: IncomingMessage) => Reply, (request: IncomingMessage) => Reply]
let origins: string[]
let seen: { server: number; path: string; headers: IncomingMessage['headers'] }[]

beforeEach(async () => {
  source = await testSource()
  seen = []
  const missing = (): Reply => ({ status: 404 })
  answers = [missing, missing]
  servers = [0, 1].map((server) =>
    createServer((request, response) => {
      seen.push({ server, path: request.url ?? '', headers: request.headers })
      void send(response, request.method ?? '', (server === 0 ? answers[0] : answers[1])(request))
    }),
  )
  origins = await Promise.all(servers.map(listen))
})
afterEach(async () => {
  await Promise.all(servers.map(stop))
  await source.remove()
})

const open = (url: string, options: Partial<TestSource['options']> = {}) =>
  openModelSource(url, { ...source.options, ...options })
const failure = (url: string, options: Partial<TestSource['options']> = {}) => messageOf(open(url, options), 'secret')

/** A file as a static server has it: with an ETag, ranges, and the conditional requests that it knows. */
function file(bytes: Buffer, etag = `"${sha256(bytes).slice(0, 8)}"`): (request: IncomingMessage) => Reply {
  return ({ headers }) => {
    if (headers['if-none-match'] === etag) return { status: 304, headers: { etag } }
    const same = headers['if-range'] === undefined || headers['if-range'] === etag
    return ranged(bytes, same ? headers.range : undefined, { etag })
  }
}

it('is downloaded, and asked about before its copy is used again', async () => {
  answers[0] = file(MODEL)
  const url = `${origins[0]}/models/my%20model/net.onnx?version=2`
  const found = await open(url)
  expect(found).toMatchObject({ kind: 'url', label: `${origins[0]}/models/my%20model/net.onnx`, others: [] })
  expect(found.modelFile).toMatch(/net\.onnx$/)
  expect(MODEL.equals(await readFile(found.modelFile))).toBe(true)
  seen.length = 0
  expect((await open(url)).modelFile).toBe(found.modelFile)
  expect(seen.map(({ headers }) => headers['if-none-match'])).toEqual([`"${sha256(MODEL).slice(0, 8)}"`])
  answers[0] = file(OTHER)
  expect(OTHER.equals(await readFile((await open(url)).modelFile))).toBe(true)
})

it('is asked about by its date where it has no ETag, and downloaded anew where it has neither', async () => {
  const modified = 'Wed, 21 Oct 2026 07:28:00 GMT'
  answers[0] = ({ headers }) =>
    headers['if-modified-since'] === modified
      ? { status: 304 }
      : { status: 200, headers: { 'last-modified': modified }, body: OTHER }
  await open(`${origins[0]}/a.onnx`)
  await open(`${origins[0]}/a.onnx`)
  expect(seen).toHaveLength(2)
  answers[0] = () => ({ status: 200, body: OTHER })
  await open(`${origins[0]}/b.onnx`)
  await open(`${origins[0]}/b.onnx`)
  expect(seen).toHaveLength(4)
})

it('is held to the checksum in its fragment, and then needs no second request', async () => {
  answers[0] = file(MODEL)
  const url = `${origins[0]}/m.onnx#sha256=${sha256(MODEL)}`
  await open(url)
  seen.length = 0
  await open(url)
  expect(seen).toEqual([])
  expect(await failure(`${origins[0]}/m.onnx#sha256=${sha256(OTHER)}`)).toMatch(/wrong checksum/)
  expect(await failure(`${origins[0]}/m.onnx#md5=1`)).toMatch(/After "#"/)
})

it('is held to the checksum that the server states', async () => {
  const base64 = createHash('sha256').update(MODEL).digest('base64')
  for (const headers of [{ 'repr-digest': `sha-512=:AA==:, sha-256=:${base64}:` }, { digest: `SHA-256=${base64}` }]) {
    answers[0] = () => ({ status: 200, headers, body: OTHER })
    expect(await failure(`${origins[0]}/wrong.onnx`)).toMatch(/wrong checksum/)
    answers[0] = () => ({ status: 200, headers, body: MODEL })
    await open(`${origins[0]}/right-${Object.keys(headers)[0]}.onnx`)
  }
})

it('goes on after a break only where it is certainly the same file', async () => {
  answers[0] = ({ headers }) => {
    answers[0] = file(MODEL)
    expect(headers.range).toBeUndefined()
    return { ...file(MODEL)({ headers } as IncomingMessage), breakAfter: 400_000 }
  }
  expect(MODEL.equals(await readFile((await open(`${origins[0]}/a.onnx`)).modelFile))).toBe(true)
  const [, second] = seen
  expect(second?.headers['if-range']).toBe(`"${sha256(MODEL).slice(0, 8)}"`)
  expect(second?.headers.range).toMatch(/^bytes=[1-9]\d*-$/)

  // The file changed between the two requests: If-Range brings all of the new one.
  const old = Buffer.alloc(MODEL.length, 7)
  answers[0] = () => {
    answers[0] = file(MODEL)
    return { status: 200, headers: { etag: '"old"' }, body: old, breakAfter: 400_000 }
  }
  expect(MODEL.equals(await readFile((await open(`${origins[0]}/b.onnx`)).modelFile))).toBe(true)

  // A weak ETag does not promise the same bytes.
  seen.length = 0
  answers[0] = () => {
    answers[0] = file(MODEL)
    return { status: 200, headers: { etag: 'W/"weak"' }, body: old, breakAfter: 400_000 }
  }
  expect(MODEL.equals(await readFile((await open(`${origins[0]}/c.onnx`)).modelFile))).toBe(true)
  expect(seen.map(({ headers }) => headers.range)).toEqual([undefined, undefined])
})

it('keeps user and password to its own origin and out of sight', async () => {
  answers[0] = () => ({ status: 302, headers: { location: `${origins[1]}/there.onnx` } })
  answers[1] = file(OTHER)
  const url = `${origins[0]?.replace('http://', 'http://user:secret%21@')}/here.onnx?signature=secret`
  const found = await open(url)
  expect(JSON.stringify([found.label, found.origin])).not.toContain('secret')
  const basic = `Basic ${Buffer.from('user:secret!').toString('base64')}`
  expect(seen.map(({ server, headers }) => [server, headers.authorization])).toEqual([
    [0, basic],
    [1, undefined],
  ])
  const kept = await readdir(source.options.cacheDir, { recursive: true, withFileTypes: true })
  for (const entry of kept.filter((each) => each.isFile())) {
    expect((await readFile(join(entry.parentPath, entry.name))).includes('secret')).toBe(false)
  }
  answers[0] = () => ({ status: 403 })
  expect(await failure(`${url}2`)).toMatch(/HTTP 403. The server refuses the user or password/)
  answers[0] = () => ({ status: 302, headers: { location: `http://x:secret@127.0.0.1:1/` } })
  expect(await failure(`${url}3`)).toMatch(/no server listens at this address/)
})

it('brings external data from beside the model', async () => {
  const { model, data } = withExternalData(MODEL, 'weights/part one.bin')
  answers[0] = ({ url }) =>
    ({ '/a/m.onnx?k=1': model, '/a/weights/part%20one.bin?k=1': data })[url ?? ''] === undefined
      ? { status: 404 }
      : { status: 200, body: url?.startsWith('/a/m') ? model : data }
  const { modelFile } = await open(`${origins[0]}/a/m.onnx?k=1`)
  expect(data.equals(await readFile(join(modelFile, '../weights/part one.bin')))).toBe(true)
})

it.each([
  [
    'a web page by its type',
    { status: 200, headers: { 'content-type': 'text/html; charset=utf-8' }, body: 'hi' },
    /is a web page/,
  ],
  ['a web page by its text', { status: 200, body: '<!DOCTYPE html><html></html>' }, /is a web page/],
  [
    'a pointer',
    { status: 200, body: 'version https://git-lfs.github.com/spec/v1\noid sha256:0\n' },
    /pointer of Git LFS/,
  ],
  ['an archive', { status: 200, body: 'PK\u0003\u0004...' }, /zip archive/],
  ['nothing', { status: 200, body: '' }, /is empty/],
  ['a missing file', { status: 404 }, /does not exist \(HTTP 404\)/],
  ['a file that needs permission', { status: 401 }, /HTTP 401. The address needs credentials/],
  [
    'a file of 3 GiB',
    { status: 200, headers: { 'content-length': String(3 * 2 ** 30) }, body: 'x' },
    /longer than allowed/,
  ],
] as const)('reports %s, and keeps nothing', async (_, reply, message) => {
  answers[0] = () => reply
  expect(await failure(`${origins[0]}/m.onnx`)).toMatch(message)
  const kept = await readdir(source.options.cacheDir, { recursive: true, withFileTypes: true })
  expect(kept.filter((entry) => entry.isFile())).toEqual([])
})

it('refuses what is not safe to fetch', async () => {
  expect(await failure('http://example.com/model.onnx')).toMatch(/Plain http can be modified in transit.*--insecure/)
  expect(await failure('http://127.0.0.1.example.com/model.onnx')).toMatch(/Plain http/)
  expect(await failure('ftp://example.com/model.onnx')).toMatch(/"ftp:" addresses are not supported/)
  expect(await failure('https://')).toMatch(/address is invalid/)
  expect(await failure(`${origins[0]}/m.onnx`, { file: 'a.onnx' })).toMatch(/--file/)
})

it('follows redirects into encryption and never out of it', () => {
  const check = (to: string, from: string | undefined, insecure: boolean) => () =>
    checkScheme(new URL(to), from === undefined ? undefined : new URL(from), insecure)
  const [secure, clear, here] = ['https://a.example/', 'http://b.example/', 'http://[::1]:8080/']
  for (const insecure of [false, true]) {
    expect(check(secure, clear, insecure)).not.toThrow()
    expect(check(here, undefined, insecure)).not.toThrow()
    expect(check(clear, secure, insecure)).toThrow(/A redirect from https to http is not followed/)
    expect(check(here, secure, insecure)).toThrow(/A redirect from https to http/)
    expect(check('data:,x', secure, insecure)).toThrow(/Only https and http/)
  }
  expect(check(clear, undefined, false)).toThrow(/--insecure/)
  expect(check(clear, here, false)).toThrow(/redirects to http:\/\/b.example. Plain http/)
  expect(check(clear, undefined, true)).not.toThrow()
  expect(check(clear, here, true)).not.toThrow()
})
