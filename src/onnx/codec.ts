import { fromBinary, toBinary } from '@bufbuild/protobuf'
import { OnnxError } from './errors.ts'
import { type ModelProto, ModelProtoSchema, type TensorProto, TensorProtoSchema } from './schema/onnx_pb.js'

/** Protobuf's lengths are 32-bit, signed in most of its readers: no message can be longer. */
export const MAX_MODEL_BYTES = 2 ** 31 - 1

/**
 * Reads a model. Tensors' `rawData` are views of `bytes`, which must not change while the model is in use.
 * @throws OnnxError malformed, too_large
 */
export function decodeModel(bytes: Uint8Array): ModelProto {
  if (bytes.length > MAX_MODEL_BYTES) {
    throw new OnnxError('too_large', 'An ONNX file ends at 2 GiB. Store the weights as external data.')
  }
  let model: ModelProto
  try {
    model = fromBinary(ModelProtoSchema, bytes)
  } catch (error) {
    throw new OnnxError('malformed', 'This is not an ONNX model, or it ends early. Download or export it again.', {
      cause: error,
    })
  }
  if (model.graph === undefined || model.irVersion === 0n) {
    throw new OnnxError('malformed', 'This is not an ONNX model: it has no graph. Download or export it again.')
  }
  return model
}

/** Writes a model. @throws OnnxError too_large */
export function encodeModel(model: ModelProto): Uint8Array<ArrayBuffer> {
  const bytes = toBinary(ModelProtoSchema, model)
  if (bytes.length > MAX_MODEL_BYTES) {
    throw new OnnxError('too_large', 'The model takes more than the 2 GiB that an ONNX file can have.')
  }
  return bytes
}

/** Reads a tensor of its own, as in the `.pb` files of ONNX's test data. @throws OnnxError malformed */
export function decodeTensor(bytes: Uint8Array): TensorProto {
  try {
    return fromBinary(TensorProtoSchema, bytes)
  } catch (error) {
    throw new OnnxError('malformed', 'This is not an ONNX tensor.', { cause: error })
  }
}
