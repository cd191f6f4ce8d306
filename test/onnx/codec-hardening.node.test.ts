import { describe, expect, it } from 'vitest'
import { decodeModel, decodeTensor, encodeModel } from '../../src/onnx/codec.ts'
import { safeName } from '../../src/onnx/errors.ts'
import { floatTensor, makeModel, node, subgraphModel } from '../fixtures/onnx-messages.ts'

/** Field numbers of the schema. */
const MODEL = { irVersion: 1, producerName: 2, graph: 7 }
const GRAPH = { node: 1, initializer: 5 }
const NODE = { input: 1, attribute: 5 }
const ATTRIBUTE = { g: 6, ints: 8, strings: 9, tp: 14 }

function varint(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128)
  return [...bytes, rest]
}

/** A field that is a message, a text or bytes. */
function field(number: number, body: Uint8Array): Uint8Array<ArrayBuffer> {
  const head = [...varint(number * 8 + 2), ...varint(body.length)]
  const bytes = new Uint8Array(head.length + body.length)
  bytes.set(head)
  bytes.set(body, head.length)
  return bytes
}

function model(graph: Uint8Array): Uint8Array<ArrayBuffer> {
  return Uint8Array.from([MODEL.irVersion * 8, 8, ...field(MODEL.graph, graph)])
}

/** `bytes` again and again. */
function repeated(bytes: readonly number[], times: number): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(bytes.length * times)
  all.set(bytes)
  for (let done = bytes.length; done < all.length; done *= 2) all.copyWithin(done, 0, done)
  return all
}

const malformed = expect.objectContaining({ name: 'OnnxError', code: 'malformed' })
const tooLarge = expect.objectContaining({ name: 'OnnxError', code: 'too_large' })

describe('decoding is bounded', () => {
  it('refuses ten thousand graphs inside each other', () => {
    const nested = (levels: number): Uint8Array => {
      let graph = new Uint8Array(0)
      for (let level = 0; level < levels; level++) {
        graph = field(GRAPH.node, field(NODE.attribute, field(ATTRIBUTE.g, graph)))
      }
      return model(graph)
    }
    // A model and its graph are two levels, each graph inside three more; protobuf's readers stop at 100.
    expect(() => decodeModel(nested(32))).not.toThrow()
    expect(() => decodeModel(nested(33))).toThrow(/levels of nesting/)
    expect(() => decodeModel(nested(10_000))).toThrow(malformed)
  })

  it('refuses types inside each other without end', () => {
    let type = new Uint8Array(0)
    // A sequence (field 4) of an element type (field 1).
    for (let level = 0; level < 5000; level++) type = field(4, field(1, type))
    const node = field(NODE.attribute, field(ATTRIBUTE.tp, type))
    expect(() => decodeModel(model(field(GRAPH.node, node)))).toThrow(malformed)
  })

  it.each([
    ['empty nodes', [GRAPH.node * 8 + 2, 0]],
    ['empty initializers', [GRAPH.initializer * 8 + 2, 0]],
    ['fields that no schema knows', [0xf8, 6, 1]],
  ])('refuses a few megabytes of %s, which would be gigabytes of objects', (_, bytes) => {
    expect(() => decodeModel(model(repeated(bytes, 7_000_000)))).toThrow(tooLarge)
  })

  it.each([
    ['texts', field(GRAPH.node, field(NODE.attribute, repeated([ATTRIBUTE.strings * 8 + 2, 0], 9_000_000)))],
    ['packed numbers', field(GRAPH.node, field(NODE.attribute, field(ATTRIBUTE.ints, repeated([1], 27_000_000))))],
  ])('refuses too many %s in one list', (_, graph) => {
    expect(() => decodeModel(model(graph))).toThrow(tooLarge)
  })

  it('takes a model of a hundred thousand nodes', () => {
    const nodes = Array.from({ length: 100_000 }, (_, index) => node('Neg', `v${index}`, `v${index + 1}`))
    const bytes = encodeModel(makeModel({ nodes, inputs: ['v0'], outputs: ['v100000'] }))
    expect(decodeModel(bytes).graph?.node.length).toBe(100_000)
  })
})

describe('malformed bytes', () => {
  const good = encodeModel(subgraphModel())

  it('refuses every cut of a model', () => {
    for (let length = 0; length < good.length; length++) {
      let outcome = 'decoded'
      try {
        decodeModel(good.subarray(0, length))
      } catch (error) {
        outcome = (error as { code?: string }).code ?? String(error)
      }
      // The graph comes last; so every cut goes through it.
      expect(outcome).toBe('malformed')
    }
  })

  it.each([
    ['nothing', []],
    ['a text', [...new TextEncoder().encode('<!DOCTYPE html><html>')]],
    ['a model without a graph', [MODEL.irVersion * 8, 8]],
    ['a length beyond the end', [MODEL.irVersion * 8, 8, MODEL.graph * 8 + 2, 100]],
    ['a length of 4 GiB', [MODEL.irVersion * 8, 8, MODEL.graph * 8 + 2, 255, 255, 255, 255, 15]],
    ['a length that does not end', [MODEL.graph * 8 + 2, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]],
    ['a number that does not end', [MODEL.irVersion * 8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]],
    ['field number 0', [0, 0]],
    ['a group', [MODEL.graph * 8 + 3, MODEL.graph * 8 + 4]],
    ['a number where a message belongs', [MODEL.irVersion * 8, 8, MODEL.graph * 8, 1]],
    [
      'a text that is not UTF-8',
      [MODEL.irVersion * 8, 8, MODEL.producerName * 8 + 2, 2, 0xff, 0xfe, MODEL.graph * 8 + 2, 0],
    ],
  ])('refuses %s', (_, bytes) => {
    expect(() => decodeModel(Uint8Array.from(bytes))).toThrow(malformed)
  })

  it('refuses a message that runs over the end of the one around it', () => {
    // The node says 4 bytes, the graph around it has 2 left; the producer's name comes after both.
    const graph = [MODEL.graph * 8 + 2, 4, GRAPH.node * 8 + 2, 4, NODE.input * 8 + 2, 0]
    const bytes = Uint8Array.from([MODEL.irVersion * 8, 8, ...graph, MODEL.producerName * 8 + 2, 0])
    expect(() => decodeModel(bytes)).toThrow(/byte 4 begins a field that ends after/)
  })

  it.each([
    ['floats that are not whole', [4 * 8 + 2, 3, 0, 0, 0]],
    ['a last number that is cut off', [1 * 8 + 2, 2, 1, 128]],
    ['a packed list longer than the tensor', [1 * 8 + 2, 9, 1]],
  ])('refuses a tensor with %s', (_, bytes) => {
    expect(() => decodeTensor(Uint8Array.from(bytes))).toThrow(malformed)
  })

  it('says where the damage is', () => {
    expect(() => decodeModel(good.subarray(0, 40))).toThrow(/byte \d+ begins a field that ends after/)
  })

  it('reads lists of numbers packed and one by one', () => {
    expect(decodeTensor(Uint8Array.of(8, 2, 8, 3)).dims).toEqual([2n, 3n])
    expect(decodeTensor(Uint8Array.of(10, 2, 2, 3)).dims).toEqual([2n, 3n])
  })
})

it('writes nothing above 2 GiB', () => {
  // The same 256 MiB eight times: views, so nothing is held twice.
  const rawData = new Uint8Array(2 ** 28)
  const initializers = Array.from({ length: 8 }, (_, index) => ({
    ...floatTensor(`w${index}`),
    dims: [2n ** 26n],
    rawData,
  }))
  const large = makeModel({ nodes: [node('Neg', 'x', 'y')], initializers })
  expect(() => encodeModel(large)).toThrow(tooLarge)
})

it('prints names without anything that a terminal would obey', () => {
  expect(safeName('a\u001b[2Jb\u009b2Jc\u202ed\u2028"')).toBe('a\\u001b[2Jb\\u{9b}2Jc\\u{202e}d\\u{2028}\\"')
  expect(safeName('Größe/重み')).toBe('Größe/重み')
})
