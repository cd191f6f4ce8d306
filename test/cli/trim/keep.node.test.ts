import { describe, expect, it } from 'vitest'
import { keptIds } from '../../../src/cli/trim/keep.ts'
import { requiredIds } from '../../../src/cli/trim/required.ts'
import { trimmedFile } from '../../../src/cli/trim/rewrite.ts'
import { readVocabulary } from '../../../src/cli/trim/vocabulary.ts'
import { wantedIds } from '../../../src/cli/trim/wanted.ts'
import { TextTokenizer } from '../../../src/media/text/tokenizer.ts'
import { inventedTexts, inventedTokenizer, inventedWords, VOCABULARY_KINDS } from '../../../synthetic/vocabularies.ts'
import { randomFrom } from '../../fixtures/onnx-proto.ts'
import golden from '../../fixtures/tokenizers-rust.json'

const parse = (file: unknown): TextTokenizer => TextTokenizer.parse(new TextEncoder().encode(JSON.stringify(file)))
const idsOf = (tokenizer: TextTokenizer, text: string): number[] => tokenizer.tokens(text).map(({ id }) => id)

/** Texts of random characters of all planes, lone surrogates among them. */
function randomTexts(count: number): string[] {
  const random = randomFrom(7)
  const limits = [0x80, 0x250, 0x3000, 0x10000, 0x11_0000]
  return Array.from({ length: count }, () =>
    Array.from({ length: 1 + random(30) }, () => String.fromCodePoint(random(limits[random(5)] ?? 0x80))).join(''),
  )
}

/** Trims a file to what texts need. */
async function trimmedTo(file: unknown, texts: readonly string[], most?: number) {
  const original = parse(file)
  const vocabulary = readVocabulary(file)
  const corpus = new Map<number, number>()
  for (const id of texts.flatMap((text) => idsOf(original, text))) corpus.set(id, (corpus.get(id) ?? 0) + 1)
  const required = requiredIds(vocabulary, original)
  const kept = keptIds(vocabulary, {
    required,
    wanted: await wantedIds(vocabulary, { corpus, languages: [], bounded: most !== undefined }),
    most,
  })
  const written = trimmedFile(vocabulary, kept)
  return { original, vocabulary, required, kept, written, trimmed: parse(written) }
}

/** Numbers of a trimmed tokenizer as the original has them. */
const inOriginal = (ids: readonly number[], kept: Int32Array): (number | undefined)[] => ids.map((id) => kept[id])

describe.each(Object.entries(golden.cases))('%s', (_, { file, ids }) => {
  // A text is left out whose unknown word may become known: see docs/quantize.md.
  const unknown = parse(file).unknownId
  const sure = golden.texts.flatMap((text, i) =>
    file.model.type === 'WordPiece' && ids[i]?.some((id) => id === unknown) ? [] : [{ text, ids: ids[i] ?? [] }],
  )

  it("keeps the Rust library's tokens of the texts that it was trimmed to", async () => {
    expect(sure.length).toBeGreaterThan(0)
    for (const part of [sure, sure.filter((__, i) => i % 2 === 0), sure.slice(0, 1)]) {
      const { kept, trimmed } = await trimmedTo(
        file,
        part.map(({ text }) => text),
      )
      for (const { text, ids: expected } of part)
        expect(inOriginal(idsOf(trimmed, text), kept), JSON.stringify(text)).toEqual(expected)
    }
  })

  it('encodes every text', async () => {
    const { kept, trimmed } = await trimmedTo(
      file,
      sure.slice(0, 1).map(({ text }) => text),
    )
    for (const text of [...golden.texts, ...randomTexts(200)])
      for (const id of idsOf(trimmed, text)) expect(id < kept.length && trimmed.knows(id)).toBe(true)
  })
})

describe.each(VOCABULARY_KINDS)('%s with 3,000 pieces', async (kind) => {
  const file = inventedTokenizer(kind, 3_000)
  const texts = inventedTexts(inventedWords(3_000), 200)
  const [own, others] = [texts.slice(0, 40), texts.slice(40)]
  const { kept, original, trimmed, vocabulary, written } = await trimmedTo(file, own)

  it('is smaller, and has the same tokens for its texts', async () => {
    expect(kept.length).toBeLessThan(vocabulary.texts.length)
    for (const text of own) expect(inOriginal(idsOf(trimmed, text), kept)).toEqual(idsOf(original, text))
  })

  it('has the same tokens for other texts whose tokens are kept', async () => {
    const staying = new Set(kept)
    const mixed = own.map((text) => text.split(' ').reverse().join(' '))
    const same = [...mixed, ...others].filter((text) => {
      const ids = idsOf(original, text)
      const unknown = kind === 'WordPiece' && ids.includes(original.unknownId ?? -1)
      return !unknown && ids.every((id) => staying.has(id))
    })
    expect(same.length).toBeGreaterThan(own.length / 4)
    for (const text of same) expect(inOriginal(idsOf(trimmed, text), kept)).toEqual(idsOf(original, text))
  })

  it('numbers tokens without holes, in the old order', async () => {
    const again = readVocabulary(written)
    expect(again.texts).toEqual(Array.from(kept, (id) => vocabulary.texts[id] ?? vocabulary.added.get(id)))
    expect(kept).toEqual(Int32Array.from(kept).sort())
  })

  it('has at most so many tokens', async () => {
    const { required } = await trimmedTo(file, own)
    const most = required.size + 60
    const small = await trimmedTo(file, own, most)
    expect(small.kept.length).toBeLessThanOrEqual(most)
    expect(small.kept.length).toBeGreaterThan(most - 30)
    for (const text of others) expect(() => idsOf(small.trimmed, text)).not.toThrow()
    await expect(trimmedTo(file, own, required.size - 1)).rejects.toThrow('Give at least')
  })
})

describe('bytes', () => {
  it('write what is gone, and become the same text again', async () => {
    for (const name of ['Unigram, bytes', 'BPE, bytes'] as const) {
      const { trimmed } = await trimmedTo({ ...golden.cases[name].file, decoder: BYTES }, ['a'])
      for (const text of randomTexts(100)) {
        const ids = idsOf(trimmed, text)
        expect(ids).not.toContain(trimmed.unknownId ?? -1)
      }
      const text = 'caf\u00e9\u4f60\u{1f600}'
      const back = trimmed.join(idsOf(trimmed, text).map((id) => trimmed.tokenText(id)))
      expect(back.replaceAll('\u2581', ' ').trim()).toBe(text)
    }
  })
})

const BYTES = { type: 'Sequence', decoders: [{ type: 'ByteFallback' }, { type: 'Fuse' }] }
