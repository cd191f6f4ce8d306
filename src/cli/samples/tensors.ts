import * as z from 'zod'
import type { Limits } from '../../core/limits.ts'
import { ARRAY_TYPES, elementCount, type Tensor, type TensorSpec, type Tensors, tensor } from '../../core/tensors.ts'
import { validate } from '../../core/validation.ts'
import { datatypeOf } from '../../engine/ort/marshal.ts'
import { decodeTensor } from '../../onnx/codec.ts'
import { dimsOf, rawBytesOf } from '../../onnx/data.ts'
import { OnnxError } from '../../onnx/errors.ts'
import { tensorFromJson } from '../../protocols/oip/json.ts'
import { checkInputs } from '../../protocols/oip/read-request.ts'
import { inputTensorSchema } from '../../protocols/oip/wire.ts'

const inputsSchema = z.array(inputTensorSchema)

/** Tensors of an Open Inference Protocol request, checked as the server checks them. @throws VergeError */
export function tensorsFromRequest(inputs: readonly unknown[], specs: readonly TensorSpec[], limits: Limits): Tensors {
  const checked = validate(inputsSchema, inputs, '"inputs"')
  checkInputs(checked, specs, limits)
  return new Map(
    checked.map(({ name, datatype, shape, data }) => [
      name,
      tensorFromJson(name, datatype, shape, data, limits.stringBytes),
    ]),
  )
}

/**
 * Tensors of ONNX's test data, in the order of the model's inputs; a tensor that bears the name of an input is that one.
 * @throws OnnxError bad_samples, and what reading a tensor throws
 */
export function tensorsFromFiles(files: ReadonlyMap<string, Uint8Array>, specs: readonly TensorSpec[]): Tensors {
  if (files.size > specs.length) {
    throw new OnnxError('bad_samples', `There are ${files.size} tensors, but the model takes ${specs.length}.`)
  }
  const tensors = new Map<string, Tensor>()
  for (const [index, [file, bytes]] of [...files].entries()) {
    const { name, value } = tensorFromFile(bytes, file)
    const spec = specs.find((candidate) => candidate.name === name) ?? (specs[index] as TensorSpec)
    if (value.datatype !== spec.datatype) {
      throw new OnnxError('bad_samples', `${file} is ${value.datatype}, but "${spec.name}" takes ${spec.datatype}.`)
    }
    tensors.set(spec.name, value)
  }
  return tensors
}

/** An ONNX tensor by itself, with its name. @throws OnnxError malformed, unsupported, invalid_graph */
export function tensorFromFile(bytes: Uint8Array, file: string): { readonly name: string; readonly value: Tensor } {
  const proto = decodeTensor(bytes)
  const datatype = datatypeOf(proto.dataType)
  if (datatype === null) throw new OnnxError('unsupported', `${file} has tensor type ${proto.dataType}.`)
  const shape = dimsOf(proto)
  if (datatype === 'BYTES') {
    const utf8 = new TextDecoder()
    const strings = proto.stringData.map((text) => utf8.decode(text))
    return { name: proto.name, value: tensor('BYTES', shape, strings) }
  }
  // A copy, because the elements may lie at any offset in the file.
  const raw = new Uint8Array(rawBytesOf(proto))
  const data = new ARRAY_TYPES[datatype](raw.buffer, 0, elementCount(shape))
  return { name: proto.name, value: { datatype, shape, data } as unknown as Tensor }
}
