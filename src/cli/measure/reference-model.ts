import { create } from '@bufbuild/protobuf'
import { MANIFEST_SCHEMA } from '../../catalog/manifest.ts'
import { LIMITS } from '../../core/limits.ts'
import { type Tensors, tensor } from '../../core/tensors.ts'
import { encodeModel } from '../../onnx/codec.ts'
import { DataType, makeTensor } from '../../onnx/data.ts'
import { makeFloatValue, makeNode } from '../../onnx/make.ts'
import { GraphProtoSchema, ModelProtoSchema, OperatorSetIdProtoSchema } from '../../onnx/schema/onnx_pb.js'
import { toBlob } from '../pack/bytes.ts'
import type { PackedModel } from '../pack/packer.ts'
import { normal, uniform } from '../verify/random.ts'

export const REFERENCE = 'cost-reference'

const ROWS = 512
const INNER = 256
const COLUMNS = 256

/** Multiply-adds of one run of the reference model, in millions: what cost units count. */
export const REFERENCE_UNITS = (ROWS * INNER * COLUMNS) / 1e6

/**
 * The model that cost units are defined by: one product of 32-bit matrices, [512, 256] by [256, 256], like the layer of a
 * small encoder, and next to nothing else. Its left side is scaled by the input, so that no runtime computes it ahead;
 * its output is one row of the product, so that reading the answer takes no time.
 */
function referenceModel(): Uint8Array<ArrayBuffer> {
  const next = uniform(1)
  const values = (count: number): Float32Array => Float32Array.from({ length: count }, () => normal(next))
  const model = create(ModelProtoSchema, {
    irVersion: 8n,
    producerName: 'verge',
    opsetImport: [create(OperatorSetIdProtoSchema, { domain: '', version: 13n })],
    graph: create(GraphProtoSchema, {
      name: REFERENCE,
      input: [makeFloatValue('scale', [1])],
      output: [makeFloatValue('row', [COLUMNS])],
      initializer: [
        makeTensor('left', DataType.FLOAT, [ROWS, INNER], values(ROWS * INNER)),
        makeTensor('right', DataType.FLOAT, [INNER, COLUMNS], values(INNER * COLUMNS)),
        makeTensor('first', DataType.INT64, [], new BigInt64Array(1)),
      ],
      node: [
        makeNode({ op: 'Mul', inputs: ['left', 'scale'], outputs: ['scaled'], name: 'scale_left' }),
        makeNode({ op: 'MatMul', inputs: ['scaled', 'right'], outputs: ['product'], name: 'product' }),
        makeNode({ op: 'Gather', inputs: ['product', 'first'], outputs: ['row'], name: 'first_row' }),
      ],
    }),
  })
  return encodeModel(model)
}

/** An input of the reference model. */
export function referenceInputs(): Tensors {
  return new Map([['scale', tensor('FP32', [1], Float32Array.of(1))]])
}

/** The reference model as it is staged beside the model that is measured. */
export function packedReference(): PackedModel {
  const { blob, pieces } = toBlob(referenceModel(), LIMITS.chunkBytes)
  return {
    manifest: {
      schema: MANIFEST_SCHEMA,
      model: REFERENCE,
      version: '1',
      inputs: [{ name: 'scale', datatype: 'FP32', shape: [1] }],
      outputs: [{ name: 'row', datatype: 'FP32', shape: [COLUMNS] }],
      artifacts: [{ ...blob, id: 'edge-fp32', format: 'onnx', dtype: 'fp32', places: ['edge'] }],
    },
    visibility: 'private',
    hot: false,
    chunks: pieces,
    notes: [],
  }
}
