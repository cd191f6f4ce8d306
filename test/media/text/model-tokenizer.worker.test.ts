import { describe, expect, it } from 'vitest'
import type { ModelFile } from '../../../src/catalog/model-file.ts'
import { isVergeError } from '../../../src/core/errors.ts'
import { isCompiled, openTokenizer } from '../../../src/media/text/model-tokenizer.ts'
import { compiledTokenizer } from '../../../src/media/text/tokenizer.ts'

const json = new TextEncoder().encode(JSON.stringify({ model: { type: 'WordLevel', vocab: { a: 0, b: 1 } } }))
const image = compiledTokenizer(json)
const blob = { sha256: '0'.repeat(64), bytes: 1, chunks: [] }

/** A model with some files, and the names of those that were read. */
function modelWith(files: Readonly<Record<string, Uint8Array>>) {
  const read: string[] = []
  const named = Object.fromEntries(Object.keys(files).map((name) => [name, blob]))
  return {
    read,
    manifest: { files: named },
    async file<T>({ name, parse }: ModelFile<T>): Promise<T> {
      read.push(name)
      return parse(files[name] ?? new Uint8Array())
    },
  }
}

describe("a model's tokenizer", () => {
  it('is the compiled one, and its tokenizer.json is not read', async () => {
    const model = modelWith({ 'tokenizer.json': new Uint8Array(), 'tokenizer-1.bin': image })
    const tokenizer = await openTokenizer(model)
    expect(isCompiled(model.manifest)).toBe(true)
    expect(tokenizer.tokens('b').map(({ id }) => id)).toEqual([1])
    expect(model.read).toEqual(['tokenizer-1.bin'])
  })

  it.each([
    [{ 'tokenizer.json': json }],
    // What a newer Verge stores beside it.
    [{ 'tokenizer.json': json, 'tokenizer-2.bin': new Uint8Array([1]) }],
  ])('is compiled where the model was stored without a compiled one that is known', async (files) => {
    const model = modelWith(files)
    const tokenizer = await openTokenizer(model)
    expect(tokenizer.tokens('b').map(({ id }) => id)).toEqual([1])
    expect(model.read).toEqual(['tokenizer.json'])
  })

  it.each([
    ['another version', (bytes: Uint8Array) => bytes.fill(2, 4, 5)],
    ['another length', (bytes: Uint8Array) => bytes.subarray(0, bytes.length - 8)],
    ['no header', () => new Uint8Array(3)],
    ['a section outside of it', (bytes: Uint8Array) => bytes.fill(0x7f, 16 + 4 + 2, 16 + 4 + 4)],
  ])('is refused with %s', async (_, damage) => {
    const model = modelWith({ 'tokenizer-1.bin': damage(image.slice()) })
    const error = await openTokenizer(model).catch((each: unknown) => each)
    expect(isVergeError(error, 'manifest_invalid')).toBe(true)
  })

  it('is used where it lies, at whatever place of a buffer', async () => {
    const shifted = new Uint8Array(image.length + 3)
    shifted.set(image, 3)
    const tokenizer = await openTokenizer(modelWith({ 'tokenizer-1.bin': shifted.subarray(3) }))
    expect(tokenizer.tokens('a').map(({ id }) => id)).toEqual([0])
  })
})
