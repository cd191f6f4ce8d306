import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BUILT } from '../../src/cli/build/build.ts'
import { REPORTS } from '../../src/cli/build/ready.ts'
import { type DevServer, startDevServer } from '../../src/cli/local/dev-server.ts'
import { untilListening } from '../../src/cli/local/readiness.ts'
import { freePort } from '../../src/cli/terminal/port.ts'
import { decodeModel } from '../../src/onnx/codec.ts'
import { seededFloats } from '../../synthetic/onnx.ts'
import { haveRealModels, REAL_MODELS, SKIP_REASON } from '../fixtures/node/real-models.ts'
import { safetensors, wordTokenizer } from '../fixtures/node/safetensors.ts'
import { verge } from '../fixtures/node/verge.ts'

/** Built models and reports lie in the repository's own folder, beside those of a person. */
const OWN = `test-${process.pid}-static`
const START_MS = 120_000

let folder: string
let server: DevServer

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verge-static-'))
  server = startDevServer({ port: await freePort(), persistTo: join(folder, 'state'), onLine: () => {} })
  await untilListening(server, START_MS)
})
afterAll(async () => {
  await server?.stop()
  await rm(folder, { recursive: true, force: true })
})

/** Pushes a folder of safetensors as a person would, and has texts embedded by OpenAI's protocol. */
async function pushed(spec: string, name: string, texts: readonly string[], ...args: string[]): Promise<number[][]> {
  const own = `${OWN}-${name}`
  try {
    const push = [
      'push',
      spec,
      '--name',
      own,
      '--persist-to',
      'state',
      '--url',
      server.url,
      '--json',
      '--licence',
      'MIT',
    ]
    const { code, stdout, stderr } = await verge([...push, ...args], { cwd: folder })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(JSON.parse(stdout)).toMatchObject({ report: { model: own, verification: { ok: true } } })
    const response = await fetch(`${server.url}/v1/embeddings`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: own, input: texts }),
    })
    const answer = (await response.json()) as { data: { embedding: number[] }[] }
    expect(response.status, JSON.stringify(answer).slice(0, 300)).toBe(200)
    return answer.data.map(({ embedding }) => embedding)
  } finally {
    for (const at of [BUILT, REPORTS]) await rm(join(at, own), { recursive: true, force: true })
  }
}

function cosine(a: readonly number[], b: readonly number[]): number {
  const dot = (x: readonly number[], y: readonly number[]) => x.reduce((sum, v, i) => sum + v * (y[i] ?? 0), 0)
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b))
}

describe('a static embedding of sentence-transformers', () => {
  const words = Array.from({ length: 500 }, (_, i) => `word${String.fromCharCode(97 + (i % 26))}${i}`)
  const width = 32
  const table = seededFloats((words.length + 4) * width, 11)
  /** The mean of a text's rows; unknown words have the row of their own token, and no special tokens stand around. */
  const expected = (...ids: number[]): number[] =>
    Array.from({ length: width }, (_, i) => ids.reduce((sum, id) => sum + (table[id * width + i] ?? 0), 0) / ids.length)

  async function answersFormula(name: string, least: number, ...args: string[]): Promise<void> {
    const spec = join(folder, name)
    await mkdir(join(spec, '0_StaticEmbedding'), { recursive: true })
    await writeFile(
      join(spec, 'modules.json'),
      JSON.stringify([
        { idx: 0, name: '0', path: '0_StaticEmbedding', type: 'sentence_transformers.models.StaticEmbedding' },
      ]),
    )
    await writeFile(
      join(spec, '0_StaticEmbedding/model.safetensors'),
      safetensors({ 'embedding.weight': { dtype: 'F32', shape: [words.length + 4, width], data: table } }),
    )
    await writeFile(join(spec, '0_StaticEmbedding/tokenizer.json'), wordTokenizer(words))
    const [one = [], two = [], three = []] = await pushed(
      spec,
      name,
      [`${words[7]}`, `${words[0]} ${words[499]} ${words[0]}`, `${words[3]} unheard`],
      ...args,
    )
    expect(cosine(one, expected(11))).toBeGreaterThan(least)
    expect(cosine(two, expected(4, 503, 4))).toBeGreaterThan(least)
    expect(cosine(three, expected(7, 1))).toBeGreaterThan(least)
  }

  it('is pushed from its folder in full precision, and answers its formula', () =>
    answersFormula('full', 0.9999999, '--dtype', 'fp32'))

  it('is pushed from its folder and made small, and answers nearly the same', () => answersFormula('small', 0.999))
})

describe.skipIf(!haveRealModels)(`model2vec's own weights (skipped only where ${SKIP_REASON})`, () => {
  it('answer what model2vec answers', async () => {
    const real = join(REAL_MODELS, 'm2v-bge64-converted')
    const model = decodeModel(new Uint8Array(await readFile(join(real, 'model.onnx'))))
    const tensor = (name: string) => {
      const found = model.graph?.initializer.find((each) => each.name === name)
      return { shape: found?.dims.map(Number) ?? [], bytes: found?.rawData?.slice() ?? new Uint8Array(0) }
    }
    const spec = join(folder, 'm2v')
    await mkdir(spec, { recursive: true })
    for (const file of ['config.json', 'tokenizer.json']) await copyFile(join(real, file), join(spec, file))
    const { shape: rows, bytes: embeddings } = tensor('embeddings')
    const { shape: tokens, bytes: weights } = tensor('weights')
    const { bytes: mapping } = tensor('mapping')
    await writeFile(
      join(spec, 'model.safetensors'),
      safetensors({
        embeddings: { dtype: 'F32', shape: rows, data: embeddings },
        mapping: { dtype: 'I32', shape: tokens, data: mapping },
        weights: { dtype: 'F32', shape: tokens, data: weights },
      }),
    )
    // Written by model2vec itself, for a text of a thousand words.
    const [golden] = JSON.parse(await readFile(join(real, 'expected_hello_x1000.json'), 'utf8')) as number[][]
    const [vector = []] = await pushed(spec, 'm2v', [new Array(1000).fill('hello').join(' ')], '--dtype', 'fp32')
    expect(vector).toHaveLength(64)
    for (const [i, value] of (golden ?? []).entries()) expect(vector[i], `element ${i}`).toBeCloseTo(value, 5)
  })
})
