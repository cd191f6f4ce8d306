import { describe, expect, it } from 'vitest'
import { compileModel } from '../../../src/compile/compile.ts'
import { type Tensor, type Tensors, tensor } from '../../../src/core/tensors.ts'
import { decodeModel } from '../../../src/onnx/codec.ts'
import type { ModelProto } from '../../../src/onnx/schema/onnx_pb.js'
import { embeddings } from '../../../src/quantize/tables/embeddings.ts'
import { type AttributeValue, onnxModel } from '../../../synthetic/onnx.ts'
import { normals } from '../../../synthetic/random.ts'
import { never } from '../../../synthetic/source.ts'
import { change, floats } from '../../fixtures/node/quantize.ts'
import { runModel } from '../../fixtures/node/run-onnx.ts'
import { loadVerge, vergeEngine } from '../../fixtures/node/verge-engine.ts'
import { runPlan } from '../../fixtures/plan-reference.ts'

const signal = never()

async function compiled(model: ModelProto) {
  const result = await compileModel(model, { signal })
  if (!result.ok) throw new Error(`${result.operator} ${result.node}: ${result.reason}`)
  return result.bytes
}

function lookup(rows: number, columns: number): Uint8Array {
  return onnxModel({
    inputs: [{ name: 'ids', datatype: 'INT64', shape: ['batch', 'n'] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: ['batch', 'n', columns] }],
    nodes: [{ op: 'Gather', inputs: ['table', 'ids'], outputs: ['y'] }],
    initializers: { table: floats([rows, columns], normals(`table ${columns}`, rows * columns, 0.1)) },
  })
}

const IDS = [0, 7, -1, 79, 3, -80]
const ids: Tensors = new Map([['ids', tensor('INT64', [2, 3], BigInt64Array.from(IDS, BigInt))]])

/** The answer of each way to run an artifact. */
async function answers(artifact: Uint8Array, inputs: Tensors): Promise<readonly Tensor[]> {
  const results: Tensors[] = [runPlan(artifact, inputs)]
  for (const build of ['relaxed', 'plain'] as const) {
    const session = await loadVerge(vergeEngine(build), artifact)
    results.push(await session.run(inputs, { signal }))
    session.dispose()
  }
  return results.map((outputs) => outputs.get('y') as Tensor)
}

describe('a table of four bits', () => {
  it.each([
    { columns: 64, blockSize: 32, symmetric: true },
    { columns: 50, blockSize: 16, symmetric: false },
    { columns: 384, blockSize: 128, symmetric: false },
    { columns: 16, blockSize: 32, symmetric: true },
    { columns: 1, blockSize: 32, symmetric: false },
  ] as const)(
    'as the quantizer writes it: $columns columns in blocks of $blockSize, symmetric $symmetric',
    async (table) => {
      const { columns, ...options } = table
      // Blocks of a column need rows enough to be quantized at all.
      const source = lookup(columns === 1 ? 1213 : 80, columns)
      for (const scales of ['fp32', 'fp16'] as const) {
        const { model } = await change(source, [embeddings({ bits: 4, scales, ...options })])
        expect(model.graph?.node.map(({ opType }) => opType)).toContain('GatherBlockQuantized')
        const artifact = await compiled(model)
        const expected = (await runModel(model, ids)).get('y') as Tensor
        for (const { shape, data } of await answers(artifact, ids)) {
          expect(shape).toEqual(expected.shape)
          // With scales in half floats ONNX Runtime rounds what it finds to half floats.
          const tolerance = scales === 'fp16' ? 2 ** -11 : 0
          for (const [index, value] of (expected.data as Float32Array).entries())
            expect(Math.abs((data[index] as number) - value)).toBeLessThanOrEqual(Math.abs(value) * tolerance)
        }
      }
    },
  )

  it('takes half of the bytes of eight bits, with its scales', async () => {
    const source = lookup(4000, 256)
    const bytes = async (bits: 4 | 8) => (await compiled((await change(source, [embeddings({ bits })])).model)).length
    expect((await bytes(4)) / (await bytes(8))).toBeLessThan(0.57)
  })
})

describe('what the engine does not read', () => {
  const levels = tensor('UINT8', [4, 16], new Uint8Array(64).fill(0x5a))
  const attributes = { block_size: { int: 16 }, gather_axis: { int: 0 }, quantize_axis: { int: 1 } }
  const model = (given: Readonly<Record<string, AttributeValue>>, more: Readonly<Record<string, Tensor>> = {}) =>
    decodeModel(
      onnxModel({
        opset: 17,
        domains: { 'com.microsoft': 1 },
        inputs: [{ name: 'ids', datatype: 'INT64', shape: ['n'] }],
        outputs: [{ name: 'y', datatype: 'FP32' }],
        nodes: [
          {
            op: 'GatherBlockQuantized',
            domain: 'com.microsoft',
            inputs: ['table', 'ids', 'scales', ...Object.keys(more)],
            outputs: ['y'],
            attributes: given,
          },
        ],
        initializers: { table: levels, scales: floats([4, 2], normals('scales', 8, 1)), ...more },
      }),
    )

  it('is declined with the reason', async () => {
    const reason = async (source: ModelProto) => {
      const result = await compileModel(source, { signal })
      return result.ok ? 'claimed' : result.reason
    }
    expect(await reason(model(attributes))).toBe('claimed')
    expect(await reason(model({ ...attributes, bits: { int: 8 } }))).toBe('its table is not in 4 bits')
    expect(await reason(model({ ...attributes, quantize_axis: { int: 0 }, gather_axis: { int: 1 } }))).toBe(
      'its table is not read and quantized by row',
    )
    expect(await reason(model({ ...attributes, block_size: { int: 32 } }))).toBe(
      'its scales are no constants of its blocks',
    )
    const points = tensor('UINT8', [4, 2], new Uint8Array(8))
    expect(await reason(model(attributes, { points }))).toBe('its zero points are no constants of its blocks')
  })
})
