import { type DescMessage, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf'
import { OnnxError } from './errors.ts'
import {
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type TensorProto,
  TensorProtoSchema,
} from './schema/onnx_pb.js'
import { checkWire } from './wire.ts'

/** Protobuf's lengths are 32-bit, signed in most of its readers: no message can be longer. */
export const MAX_MODEL_BYTES = 2 ** 31 - 1

/** Raw data from this size on is not copied into its tensor's encoding. */
const VIEW_BYTES = 1024

/**
 * Reads a model. Tensors' `rawData` are views of `bytes`, which must not change while the model is in use.
 * @throws OnnxError malformed, too_large
 */
export function decodeModel(bytes: Uint8Array): ModelProto {
  if (bytes.length > MAX_MODEL_BYTES) {
    throw new OnnxError('too_large', 'The limit of an ONNX file is 2 GiB. Store the weights as external data.')
  }
  const model = decode(ModelProtoSchema, bytes)
  if (model.graph === undefined || model.irVersion === 0n) {
    throw new OnnxError('malformed', 'This is not an ONNX model: it has no graph. Download or export it again.')
  }
  return model
}

/** Reads a tensor of its own, as in the `.pb` files of ONNX's test data. @throws OnnxError malformed, too_large */
export function decodeTensor(bytes: Uint8Array): TensorProto {
  return decode(TensorProtoSchema, bytes)
}

function decode<Schema extends DescMessage>(schema: Schema, bytes: Uint8Array): MessageShape<Schema> {
  checkWire(bytes, schema)
  // Node's buffers pass their own kind on to their views, and those copy less than others say they do.
  const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  try {
    return fromBinary(schema, plain)
  } catch (error) {
    // The structure is sound, so it is the text.
    throw new OnnxError('malformed', 'The model contains a name or a text that is not UTF-8. Export it again.', {
      cause: error,
    })
  }
}

export interface EncodedModel {
  /** Bytes of all parts together. */
  readonly bytes: number
  /** To be written one after another. Large tensors are views of the model's own data. */
  readonly parts: readonly Uint8Array[]
}

/** Writes a model without copying its weights. @throws OnnxError too_large */
export function encodeParts(model: ModelProto): EncodedModel {
  const { graph, ...rest } = model
  if (graph === undefined) return joined([toBinary(ModelProtoSchema, model)])
  // The fields of a message may stand in any order, so initializers can follow the rest of the graph.
  const initializers = graph.initializer.map(tensorParts)
  const graphHead = toBinary(GraphProtoSchema, { ...graph, initializer: [] })
  const graphParts = [graphHead, ...initializers.flatMap((tensor) => delimited(GRAPH_INITIALIZER, tensor))]
  const head = toBinary(ModelProtoSchema, rest)
  return joined([head, ...delimited(MODEL_GRAPH, joined(graphParts))])
}

/** Writes a model. @throws OnnxError too_large */
export function encodeModel(model: ModelProto): Uint8Array<ArrayBuffer> {
  const { bytes, parts } = encodeParts(model)
  const encoded = new Uint8Array(bytes)
  let offset = 0
  for (const part of parts) {
    encoded.set(part, offset)
    offset += part.length
  }
  return encoded
}

const MODEL_GRAPH = ModelProtoSchema.field.graph.number
const GRAPH_INITIALIZER = GraphProtoSchema.field.initializer.number
const TENSOR_RAW_DATA = TensorProtoSchema.field.rawData.number

function tensorParts(tensor: TensorProto): EncodedModel {
  const { rawData, ...rest } = tensor
  if (rawData === undefined || rawData.length < VIEW_BYTES) return joined([toBinary(TensorProtoSchema, tensor)])
  const data = { bytes: rawData.length, parts: [rawData] }
  return joined([toBinary(TensorProtoSchema, rest), ...delimited(TENSOR_RAW_DATA, data)])
}

function joined(parts: readonly Uint8Array[]): EncodedModel {
  const bytes = parts.reduce((total, part) => total + part.length, 0)
  if (bytes > MAX_MODEL_BYTES) {
    throw new OnnxError(
      'too_large',
      'The model takes more than the 2 GiB that an ONNX file can have. Store the weights as external data.',
    )
  }
  return { bytes, parts }
}

/** A field with its number and length before it. */
function delimited(field: number, { bytes, parts }: EncodedModel): Uint8Array[] {
  return [Uint8Array.from([...varint(field * 8 + 2), ...varint(bytes)]), ...parts]
}

function varint(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128)
  return [...bytes, rest]
}
