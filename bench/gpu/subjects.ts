import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ROOT } from '../../src/cli/files/project.ts'
import { type Tensors, tensor } from '../../src/core/tensors.ts'
import { normals } from '../../synthetic/random.ts'
import { type MadeModelName, madeModel } from '../models/index.ts'
import { TOLERANCE, TOLERANCE_8_BITS } from './compare.ts'

/** A model that is run, and with what. */
export interface Subject {
  readonly name: string
  readonly bytes: () => Promise<Uint8Array>
  readonly tolerance: number
  readonly cases: readonly SubjectCase[]
}

export interface SubjectCase {
  readonly what: string
  readonly inputs: Tensors
  /** Items in a run: texts, pictures. */
  readonly items: number
}

/** Of the encoder's and the decoder's vocabularies; the first thousand are rare in texts. */
const FIRST_ID = 1_000
const IDS = 29_000
const DIGIT_SIDE = 28
const PICTURE_SIDE = 224
const TEXT_TOKENS = 128

/** Models of all kinds that an origin serves: a small network, an encoder in two precisions, convolutions. */
export function gpuSubjects(): readonly Subject[] {
  return [
    {
      name: 'digits',
      bytes: async () => new Uint8Array(await readFile(join(ROOT, 'models/digits/model.onnx'))),
      tolerance: TOLERANCE,
      cases: [1, 32].map((items) => pictures('image', items, [1, DIGIT_SIDE, DIGIT_SIDE])),
    },
    { ...made('encoder-fp32'), cases: [1, 8, 32].map((items) => texts(items, TEXT_TOKENS)) },
    { ...made('encoder-int8'), tolerance: TOLERANCE_8_BITS, cases: [1, 8].map((items) => texts(items, TEXT_TOKENS)) },
    { ...made('cnn-fp32'), cases: [pictures('image', 1, [3, PICTURE_SIDE, PICTURE_SIDE])] },
  ]
}

function made(name: MadeModelName): Omit<Subject, 'cases'> {
  return { name, bytes: async () => (await madeModel(name)).bytes, tolerance: TOLERANCE }
}

export function pictures(input: string, items: number, sides: readonly number[]): SubjectCase {
  const shape = [items, ...sides]
  const count = shape.reduce((product, side) => product * side, 1)
  return {
    what: `${items} x ${sides.join(' x ')}`,
    items,
    inputs: new Map([[input, tensor('FP32', shape, normals(`gpu.${input}.${count}`, count, 1))]]),
  }
}

/**
 * Texts that all differ. Every second one is padded in its last quarter, so that a mask that is ignored is seen.
 * @param first number of the first text
 */
export function texts(items: number, tokens: number, first = 0): SubjectCase {
  const shape = [items, tokens]
  const ids = BigInt64Array.from({ length: items * tokens }, (_, at) =>
    BigInt(tokenAt(first + Math.floor(at / tokens), at % tokens)),
  )
  const isPadding = (at: number): boolean =>
    (first + Math.floor(at / tokens)) % 2 === 1 && at % tokens >= (tokens * 3) / 4
  const mask = BigInt64Array.from({ length: items * tokens }, (_, at) => (isPadding(at) ? 0n : 1n))
  return {
    what: `${items} x ${tokens} tokens`,
    items,
    inputs: new Map([
      ['input_ids', tensor('INT64', shape, ids)],
      ['attention_mask', tensor('INT64', shape, mask)],
    ]),
  }
}

export function tokenAt(text: number, at: number): number {
  return FIRST_ID + ((text * 7919 + at * 104_729) % IDS)
}
