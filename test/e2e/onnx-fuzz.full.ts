import { isDeepStrictEqual } from 'node:util'
import { describe, expect, it } from 'vitest'
import { decodeModel, encodeModel } from '../../src/onnx/codec.ts'
import { isOnnxError } from '../../src/onnx/errors.ts'
import { graphsOf } from '../../src/onnx/graph.ts'
import { type ModelProto, ModelProtoSchema } from '../../src/onnx/schema/onnx_pb.js'
import { validateModel } from '../../src/onnx/validate.ts'
import { lengthOffsets, mutate } from '../fixtures/mutate.ts'
import {
  everythingModel,
  floatTensor,
  functionModel,
  makeModel,
  node,
  sparseModel,
  subgraphModel,
} from '../fixtures/onnx-messages.ts'
import { disturb, randomFrom, reachable } from '../fixtures/onnx-proto.ts'

/** Of each seed; together more than 100,000. */
const ROUNDS = 21_000

/** Of each seed, of changes that leave the file sound and change what it says. */
const CHANGES = 4000

const plain = makeModel({
  nodes: [node('Neg', 'x', 'a'), node('Add', 'a w', 'y', { attributes: { axes: { ints: [0, -1] } } })],
  initializers: [floatTensor('w', 1, 2)],
})

const SEEDS: readonly (readonly [name: string, model: ModelProto])[] = [
  ['a plain graph', plain],
  ['subgraphs', subgraphModel()],
  ['functions', functionModel()],
  ['a sparse constant', sparseModel()],
  ['every tensor and attribute type', everythingModel()],
]

describe(`decoding ${ROUNDS * SEEDS.length} damaged models`, () => {
  it.each(SEEDS)('%s', (name, model) => {
    const original = encodeModel(model)
    const others = SEEDS.map(([, seed]) => encodeModel(seed))
    const lengths = lengthOffsets(original)
    expect(lengths.length).toBeGreaterThan(10)
    const random = randomFrom(0x5eed)
    const counts = { decoded: 0, valid: 0, refused: new Map<string, number>() }
    for (let round = 0; round < ROUNDS; round++) {
      const bytes = mutate(original, lengths, others[random(others.length)] ?? original, random)
      try {
        const decoded = decodeModel(bytes)
        counts.decoded++
        // What the decoder lets through, every reader and the encoder have to bear.
        graphsOf(decoded)
        decodeModel(encodeModel(decoded))
        validateModel(decoded)
        counts.valid++
      } catch (error) {
        if (!isOnnxError(error)) {
          throw new Error(`round ${round}: ${String(error)} on ${Buffer.from(bytes).toString('base64')}`, {
            cause: error,
          })
        }
        counts.refused.set(error.code, (counts.refused.get(error.code) ?? 0) + 1)
      }
    }
    console.info(`${name}: ${counts.decoded} of ${ROUNDS} decoded, ${counts.valid} valid; refused:`, counts.refused)
    // Both sides are reached: neither is everything refused at the first byte, nor does damage go unseen.
    expect(counts.decoded).toBeGreaterThan(ROUNDS / 20)
    expect(counts.decoded).toBeLessThan(ROUNDS)
    expect(counts.refused.get('malformed')).toBeGreaterThan(ROUNDS / 20)
    expect(counts.refused.size).toBeGreaterThan(2)
  })
})

describe(`validating ${CHANGES * SEEDS.length} models that say something else`, () => {
  const types = new Map([...reachable(ModelProtoSchema)].map((type) => [type.typeName, type]))

  it.each(SEEDS)('%s', (name, model) => {
    const original = encodeModel(model)
    const random = randomFrom(0x5eed)
    const counts = { valid: 0, refused: new Map<string, number>() }
    for (let round = 0; round < CHANGES; round++) {
      const changed = decodeModel(original)
      for (let change = random(3); change >= 0; change--) disturb(changed, types, random)
      const bytes = encodeModel(changed)
      try {
        const decoded = decodeModel(bytes)
        if (!isDeepStrictEqual(decodeModel(encodeModel(decoded)), decoded)) throw new Error('decodes to something else')
        graphsOf(decoded)
        validateModel(decoded)
        counts.valid++
      } catch (error) {
        if (!isOnnxError(error)) {
          throw new Error(`round ${round}: ${String(error)} on ${Buffer.from(bytes).toString('base64')}`, {
            cause: error,
          })
        }
        counts.refused.set(error.code, (counts.refused.get(error.code) ?? 0) + 1)
      }
    }
    console.info(`${name}: ${counts.valid} of ${CHANGES} valid; refused:`, counts.refused)
    expect(counts.valid).toBeGreaterThan(CHANGES / 20)
    for (const code of ['invalid_graph', 'missing_value', 'unsupported']) {
      expect(counts.refused.get(code), code).toBeGreaterThan(10)
    }
  })
})
