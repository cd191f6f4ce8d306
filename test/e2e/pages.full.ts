/** An encoder of multilingual-e5-small's size, from a folder to answers: pushed by the command line, and served by the Worker. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { E5_SMALL, multilingualModel } from '../../bench/models/multilingual.ts'
import { REPORTS } from '../../src/cli/build/ready.ts'
import { ROOT } from '../../src/cli/files/project.ts'
import { type DevServer, startDevServer } from '../../src/cli/local/dev-server.ts'
import { untilListening } from '../../src/cli/local/readiness.ts'
import { freePort } from '../../src/cli/terminal/port.ts'
import { TextTokenizer } from '../../src/media/text/tokenizer.ts'
import { cosine } from '../../src/quantize/shared/metrics.ts'
import { inventedTexts, inventedWords } from '../../synthetic/vocabularies.ts'
import { loadNative } from '../fixtures/node/native.ts'
import { nativeEmbedding } from '../fixtures/node/native-embedding.ts'
import { verge } from '../fixtures/node/verge.ts'

const NAME = `test-${process.pid}-many-languages`
const START_MS = 60_000
const TEXTS = inventedTexts(inventedWords(E5_SMALL.vocabulary), 6)
const { description, files } = multilingualModel(E5_SMALL, NAME, { engines: ['verge'] })

let folder: string
let server: DevServer

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verge-pages-'))
  await mkdir(join(folder, 'model'))
  for (const [name, bytes] of files) await writeFile(join(folder, 'model', name), bytes)
  await writeFile(join(folder, 'model/verge.json'), JSON.stringify(description))
  server = startDevServer({ port: await freePort(), persistTo: join(folder, 'state'), onLine: () => {} })
  await untilListening(server, START_MS)
})
afterAll(async () => {
  await server?.stop()
  await rm(folder, { recursive: true, force: true })
  await rm(join(REPORTS, NAME), { recursive: true, force: true })
})

async function embeddings(input: readonly string[]): Promise<number[][]> {
  const answer = await fetch(`${server.url}/v1/embeddings`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: NAME, input }),
  })
  expect(answer.status, await answer.clone().text()).toBe(200)
  const { data } = (await answer.json()) as { readonly data: readonly { readonly embedding: number[] }[] }
  return data.map(({ embedding }) => embedding)
}

describe('a model with 250,037 rows', () => {
  it('is pushed: proved in a Worker, stored with its pages, live', async () => {
    const pushing = ['push', 'model', '--persist-to', 'state', '--url', server.url, '--public', '--json']
    const { code, stdout, stderr } = await verge(pushing, { cwd: folder })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const { report, live } = JSON.parse(stdout)
    expect(report.verification).toMatchObject({ ok: true, verdict: 'agrees' })
    expect(JSON.stringify(report)).toContain('16384 of 250037 rows of its table stay in memory')
    expect(live).toMatchObject({ url: server.url, answer: expect.stringMatching(/^\[-?\d/) })
  })

  it('answers as onnxruntime-node does, texts in many scripts', async () => {
    const answered = await embeddings(TEXTS)
    const native = await loadNative(files.get('model.onnx') ?? new Uint8Array())
    const tokenizer = TextTokenizer.parse(files.get('tokenizer.json') ?? new Uint8Array())
    for (const [index, text] of TEXTS.entries()) {
      const expected = await nativeEmbedding(native, tokenizer, text, E5_SMALL)
      expect(cosine(expected, answered[index] ?? [])).toBeGreaterThan(0.99)
    }
    native.dispose()
  })

  it('answers beside digits and reviews, the same as alone, with room left', async () => {
    for (const name of ['digits', 'reviews']) {
      const pushed = await verge(
        [
          'push',
          join(ROOT, 'models', name),
          '--persist-to',
          'state',
          '--url',
          server.url,
          '--no-verify',
          '--no-measure',
        ],
        { cwd: folder },
      )
      expect(pushed.code, pushed.stderr).toBe(0)
    }
    const alone = await embeddings(TEXTS)
    const image = new Uint8Array(await readFile(join(ROOT, 'models/digits/samples/two.png')))
    const review = JSON.stringify({ inputs: 'A wonderful film.' })
    const ask = async (path: string, type: string, body: string | Uint8Array<ArrayBuffer>): Promise<number> =>
      (await fetch(`${server.url}${path}`, { method: 'POST', headers: { 'content-type': type }, body })).status
    expect(await ask('/run/digits', 'image/png', image)).toBe(200)
    expect(await ask('/run/reviews', 'application/json', review)).toBe(200)
    expect(await embeddings(TEXTS)).toEqual(alone)
  })
})
