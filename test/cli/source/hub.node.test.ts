import { readdir, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openModelSource } from '../../../src/cli/source/source.ts'
import { identityModel, matmulModel } from '../../../synthetic/onnx-models.ts'
import { HUB_TOKEN, type HubStandIn, repositoryOf, startHub } from '../../fixtures/node/hub-stand-in.ts'
import { safetensors, wordTokenizer } from '../../fixtures/node/safetensors.ts'
import { messageOf, type TestSource, testSource, withExternalData } from '../../fixtures/node/source-options.ts'

/** 3 MiB, so that a download comes in pieces and a break in the middle leaves something. */
const MODEL = Buffer.from(matmulModel(3 << 20))
const SMALL = Buffer.from(identityModel('FP32', [1]))

let hub: HubStandIn
let source: TestSource

beforeEach(async () => {
  hub = await startHub()
  source = await testSource({ HF_ENDPOINT: hub.endpoint })
  hub.repositories.set(
    'org/name',
    repositoryOf(
      {
        'onnx/model.onnx': MODEL,
        'onnx/model_quantized.onnx': SMALL,
        'config.json': '{"architectures":["X"]}',
        'tokenizer.json': '{}',
        'README.md': '---\nlicense: mit\n---\n',
        LICENSE: '',
        '.gitattributes': '*.onnx filter=lfs',
      },
      { card: { license: 'apache-2.0' } },
    ),
  )
})
afterEach(async () => {
  await hub.close()
  await source.remove()
})

const open = (spec = 'hf:org/name', options: Partial<TestSource['options']> = {}) =>
  openModelSource(spec, { ...source.options, ...options })
const withToken = (token = HUB_TOKEN): Partial<TestSource['options']> => ({
  env: { HF_ENDPOINT: hub.endpoint, HF_TOKEN: token },
})

/** Compares as bytes: an assertion on megabytes looks at every one by itself. */
const holds = async (path: string, bytes: Buffer): Promise<boolean> => bytes.equals(await readFile(path))
const failure = (work: Promise<unknown>): Promise<string> => messageOf(work, HUB_TOKEN, 'X-Amz-Signature')

describe('a repository of the hub', () => {
  it('is fetched at the commit that its branch leads to, with the settings that belong to the model', async () => {
    const found = await open()
    const commit = hub.repositories.get('org/name')?.commit
    expect(found).toMatchObject({
      kind: 'hub',
      label: `hf:org/name@${commit?.slice(0, 12)}`,
      origin: `hf:org/name@${commit}`,
      revision: commit,
      licence: 'apache-2.0',
      others: ['onnx/model_quantized.onnx'],
    })
    expect(await holds(found.modelFile, MODEL)).toBe(true)
    expect([...found.files.keys()].sort()).toEqual(['LICENSE', 'README.md', 'config.json', 'tokenizer.json'])
    expect(await readFile(found.files.get('config.json') ?? '', 'utf8')).toContain('architectures')
    const [model] = source.told.filter(({ label }) => label === 'onnx/model.onnx')
    expect(model).toMatchObject({ total: MODEL.length })
    expect(model?.figures.at(-1)).toBe(MODEL.length)
  })

  it('is asked for its commit alone the second time, and not at all where the commit is named', async () => {
    const first = await open()
    hub.seen.length = 0
    expect((await open()).modelFile).toBe(first.modelFile)
    expect(hub.seen.map(({ path }) => path)).toEqual(['/api/models/org/name/revision/main?blobs=true'])
    hub.seen.length = 0
    expect((await open(`hf:org/name@${first.revision}`)).modelFile).toBe(first.modelFile)
    expect(hub.seen).toEqual([])
  })

  it('is used without the hub where HF_HUB_OFFLINE says so, if it was fetched before', async () => {
    const offline = { env: { HF_ENDPOINT: hub.endpoint, HF_HUB_OFFLINE: '1' } }
    expect(await failure(open('hf:org/name', offline))).toMatch(/not in the cache.*HF_HUB_OFFLINE/)
    const first = await open()
    hub.seen.length = 0
    expect((await open('hf:org/name', offline)).modelFile).toBe(first.modelFile)
    expect(hub.seen).toEqual([])
  })

  it('downloads nothing that an earlier commit had already', async () => {
    await open()
    hub.repositories.set(
      'org/name',
      repositoryOf({ 'onnx/model.onnx': MODEL, 'config.json': '{"architectures":["Y"]}' }, { revisions: ['main'] }),
    )
    hub.seen.length = 0
    const second = await open()
    expect(await holds(second.modelFile, MODEL)).toBe(true)
    expect([...new Set(hub.seen.map(({ path }) => path.split('/').at(-1)))]).toEqual(['main?blobs=true', 'config.json'])
  })

  it('is fetched again where the copy on this machine is damaged', async () => {
    const { modelFile } = await open()
    const damaged = Buffer.from(MODEL)
    damaged.writeUInt8((damaged.readUInt8(1_000_000) + 1) % 256, 1_000_000)
    await writeFile(modelFile, damaged)
    expect(await holds((await open()).modelFile, MODEL)).toBe(true)
    await truncate(modelFile, 10)
    expect(await holds((await open()).modelFile, MODEL)).toBe(true)
    const folder = join(modelFile, '..')
    expect(await readdir(folder)).toEqual(['model.onnx'])
  })

  it('may be named by branch, tag, pull request, page or file', async () => {
    const repository = hub.repositories.get('org/name')
    if (repository) hub.repositories.set('org/name', { ...repository, revisions: ['main', 'v1', 'refs/pr/2'] })
    const plain = await open('hf:org/name@v1')
    expect((await open('hf:org/name@refs/pr/2')).modelFile).toBe(plain.modelFile)
    expect((await open(`${hub.endpoint}/org/name`)).modelFile).toBe(plain.modelFile)
    expect((await open(`${hub.endpoint}/org/name/tree/v1`)).modelFile).toBe(plain.modelFile)
    const other = await open(`${hub.endpoint}/org/name/blob/main/onnx/model_quantized.onnx`)
    expect(await readFile(other.modelFile)).toEqual(SMALL)
    expect((await open('hf:org/name', { file: 'model_quantized.onnx' })).modelFile).toBe(other.modelFile)
    expect(other.others).toEqual(['onnx/model.onnx'])
  })

  it('with a static embedding brings its weights, and makes a model of them', async () => {
    const weights = safetensors({ embeddings: { dtype: 'F32', shape: [5, 2], data: new Float32Array(10) } })
    const files = {
      'model.safetensors': weights,
      'tokenizer.json': wordTokenizer(['red']),
      'config.json': '{"model_type":"model2vec"}',
      'README.md': '',
    }
    hub.repositories.set('org/static', repositoryOf(files, { card: { license: 'mit' } }))
    const found = await open('hf:org/static')
    const commit = hub.repositories.get('org/static')?.commit
    expect(found).toMatchObject({ kind: 'hub', origin: `hf:org/static@${commit}`, licence: 'mit', others: [] })
    expect((await readFile(found.modelFile)).length).toBeGreaterThan(100)
    expect([...found.files.keys()].sort()).toEqual(['README.md', 'config.json', 'tokenizer.json'])
  })

  it('with weights of a network is refused before they are fetched, with the line that exports it', async () => {
    const weights = safetensors({ 'encoder.weight': { dtype: 'F32', shape: [2], data: new Float32Array(2) } })
    const config = '{"architectures":["BertModel"],"model_type":"bert"}'
    hub.repositories.set('org/bert', repositoryOf({ 'model.safetensors': weights, 'config.json': config }))
    hub.seen.length = 0
    expect(await failure(open('hf:org/bert'))).toMatch(
      /contains no .onnx file. model.safetensors is a file of safetensors.*optimum-cli export onnx --model org\/bert onnx-model\/$/,
    )
    expect(hub.seen.some(({ path }) => path.includes('safetensors'))).toBe(false)
  })

  it('brings the files that the model keeps its weights in', async () => {
    const { model, data } = withExternalData(MODEL, 'model.onnx_data')
    expect(data.length).toBeGreaterThan(3_000_000)
    hub.repositories.set('org/large', repositoryOf({ 'onnx/model.onnx': model, 'onnx/model.onnx_data': data }))
    const found = await open('hf:org/large')
    expect(await holds(join(found.modelFile, '../model.onnx_data'), data)).toBe(true)
    hub.repositories.set('org/lost', repositoryOf({ 'model.onnx': model }))
    expect(await failure(open('hf:org/lost'))).toMatch(
      /stores weights in "model.onnx_data", which is not in the repository/,
    )
    const outside = withExternalData(MODEL, '../../elsewhere').model
    hub.repositories.set('org/odd', repositoryOf({ 'model.onnx': outside }))
    expect(await failure(open('hf:org/odd'))).toMatch(
      /"\.\.\/\.\.\/elsewhere", which is not a file inside the model's folder/,
    )
  })

  it('learns checksums from headers where the list has none, and remembers them', async () => {
    hub.listsBlobs = false
    const found = await open()
    expect(await holds(found.modelFile, MODEL)).toBe(true)
    hub.seen.length = 0
    await open(`hf:org/name@${found.revision}`)
    expect(hub.seen).toEqual([])
    hub.fault = ({ path, host }, usual) => {
      if (host === 'cdn' || !path.includes('/resolve')) return undefined
      const { etag: _, ...headers } = usual.headers ?? {}
      return { ...usual, headers }
    }
    hub.repositories.set('org/bare', repositoryOf({ 'model.onnx': SMALL, 'config.json': '{}' }))
    expect(await failure(open('hf:org/bare'))).toMatch(/has no checksum or length/)
  })

  it('leaves out files whose names lead elsewhere', async () => {
    hub.repositories.set(
      'org/evil',
      repositoryOf({ '../../evil.onnx': SMALL, 'a\\..\\b.onnx': SMALL, '/etc/x.onnx': SMALL }),
    )
    expect(await failure(open('hf:org/evil'))).toMatch(/contains no \.onnx file/)
  })
})

describe('the token', () => {
  it('goes to the hub and nowhere else', async () => {
    const repository = hub.repositories.get('org/name')
    if (repository) hub.repositories.set('org/name', { ...repository, access: 'gated' })
    await open('hf:org/name', withToken())
    const sent = hub.seen.map(({ host, headers }) => [host, headers.authorization])
    expect(sent.filter(([host]) => host === 'hub').every(([, value]) => value === `Bearer ${HUB_TOKEN}`)).toBe(true)
    expect(sent.filter(([host]) => host === 'cdn')).toEqual([['cdn', undefined]])
  })

  it('does not return once a redirect has led elsewhere', async () => {
    hub.fault = ({ host, path }) =>
      host === 'cdn' ? { status: 302, headers: { location: `${hub.endpoint}/again?${path.length}` } } : undefined
    await failure(open('hf:org/name', withToken()))
    const again = hub.seen.filter(({ path }) => path.startsWith('/again'))
    expect(again.length).toBeGreaterThan(0)
    expect(again.every(({ headers }) => headers.authorization === undefined)).toBe(true)
  })

  it('is asked for where it is missing, wrong or not enough', async () => {
    const repository = repositoryOf({ 'model.onnx': SMALL })
    hub.repositories.set('org/gated', { ...repository, access: 'gated' })
    hub.repositories.set('org/private', { ...repository, access: 'private' })
    expect(await failure(open('hf:org/gated'))).toMatch(/gated: accept its terms at .*\/org\/gated, and set HF_TOKEN/)
    expect(await failure(open('hf:org/private'))).toMatch(/does not exist, or is private or gated.*set HF_TOKEN/)
    expect(await failure(open('hf:org/private', withToken('hf_wrong')))).toMatch(/HF_TOKEN is invalid/)
    expect(await failure(open('hf:org/private', withToken('hf_broken\nline')))).toMatch(/HF_TOKEN contains characters/)
    hub.fault = ({ path }) =>
      path.includes('/resolve/') ? { status: 403, headers: { 'x-error-code': 'GatedRepo' } } : undefined
    expect(await failure(open('hf:org/gated', withToken()))).toMatch(/HF_TOKEN has no access yet/)
  })
})

describe('an answer that is wrong', () => {
  it('names the repository, revision or file that is missing', async () => {
    expect(await failure(open('hf:org/unknown', withToken()))).toMatch(/no repository "org\/unknown"/)
    expect(await failure(open('hf:org/name@v9'))).toMatch(/hf:org\/name has no revision "v9"/)
    expect(await failure(open('hf:org/name', { file: 'other.onnx' }))).toMatch(
      /no model "other.onnx". There are:\n {2}onnx\/model.onnx/,
    )
    hub.fault = ({ path }) =>
      path.endsWith('config.json') ? { status: 404, headers: { 'x-error-code': 'EntryNotFound' } } : undefined
    expect(await failure(open())).toMatch(/no file "config.json"/)
  })

  it.each([
    [
      'a web page',
      { status: 200, headers: { 'content-type': 'text/html' }, body: '<html>log in</html>' },
      /web page.*HF_ENDPOINT/,
    ],
    ['other JSON', { status: 200, body: '{"error":"x"}' }, /does not answer like the hub \(sha\)/],
    ['no JSON', { status: 200, body: '{"sha":' }, /something that is not JSON/],
    ['an endless list', { status: 200, body: ' '.repeat(1 << 20), endless: true }, /longer than \d+ bytes/],
    [
      'a compressed answer',
      { status: 200, headers: { 'content-encoding': 'gzip' }, body: 'x' },
      /compresses its answer/,
    ],
    ['another status', { status: 418 }, /HTTP 418/],
  ] as const)('is reported: %s', async (_, reply, message) => {
    hub.fault = () => reply
    expect(await failure(open())).toMatch(message)
    expect(hub.seen).toHaveLength(1)
  })

  it('is reported: files of another commit', async () => {
    hub.fault = ({ path }, usual) =>
      path.includes('/resolve/')
        ? { ...usual, headers: { ...usual.headers, 'x-repo-commit': '0'.repeat(40) } }
        : undefined
    expect(await failure(open())).toMatch(/answers with commit 0{40}/)
  })
})

it('refuses endpoints that would carry secrets or go through the clear', async () => {
  const at = (HF_ENDPOINT: string) => failure(open('hf:org/name', { env: { HF_ENDPOINT, HF_TOKEN: HUB_TOKEN } }))
  expect(await at('http://hub.example.com')).toMatch(/Plain http can be modified in transit/)
  expect(await at('https://user:secret@hub.example.com')).toMatch(/an address without credentials/)
  expect(await at('hub.example.com')).toMatch(/not an address/)
  expect(await at('ftp://hub.example.com')).toMatch(/not an address/)
})
