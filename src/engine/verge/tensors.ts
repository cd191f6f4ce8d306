import { type ErrorCode, VergeError } from '../../core/errors.ts'
import { type Datatype, type Signature, type Tensor, type TensorSpec, tensor } from '../../core/tensors.ts'
import { evaluate, isBare } from './dims.ts'
import type { Dim, Plan, PlanTensor } from './plan.ts'

/** What a plan's callers see of it. */
export function signatureOf({ inputs, outputs, symbols }: Plan): Signature {
  const spec = ({ name, datatype, shape }: PlanTensor): TensorSpec => ({
    name,
    datatype: datatype as Datatype,
    shape: shape.map((dim) => (typeof dim === 'number' ? dim : isBare(dim) ? symbols[dim[1]]?.name || -1 : -1)),
  })
  return { inputs: inputs.map(spec), outputs: outputs.map(spec) }
}

/**
 * What the shapes of a run's inputs, in the plan's order, make of its symbols.
 * @throws invalid_tensor for a datatype or a shape that the model does not take
 */
export function bindSymbols({ inputs, symbols }: Plan, values: readonly Tensor[]): number[] {
  const bound = new Array<number | undefined>(symbols.length).fill(undefined)
  inputs.forEach((input, index) => {
    const value = values[index] as Tensor
    if (value.datatype !== input.datatype) {
      throw refused(input.name, `has datatype ${value.datatype}, and the model takes ${input.datatype}`)
    }
    if (value.shape.length !== input.shape.length) {
      throw refused(input.name, `has ${value.shape.length} axes, and the model takes ${input.shape.length}`)
    }
    for (const [axis, dim] of input.shape.entries()) {
      if (!isBare(dim)) continue
      const size = value.shape[axis] ?? 0
      const known = bound[dim[1]]
      const { name = '', max = 0 } = symbols[dim[1]] ?? {}
      if (known !== undefined && known !== size) {
        throw refused(input.name, `has ${size} elements along axis ${axis}, where "${name}" is ${known}`)
      }
      if (size > max) {
        throw refused(input.name, `has ${size} elements along axis ${axis}, and the model takes at most ${max}`)
      }
      bound[dim[1]] = size
    }
  })
  const sizes = bound.map((size) => size ?? 0)
  inputs.forEach(({ name, shape }, index) => {
    for (const [axis, dim] of shape.entries()) checkSize(name, axis, dim, sizes, values[index] as Tensor)
  })
  return sizes
}

function checkSize(name: string, axis: number, dim: Dim, sizes: readonly number[], { shape }: Tensor): void {
  const expected = evaluate(dim, sizes)
  if (shape[axis] === expected) return
  throw refused(name, `has ${shape[axis]} elements along axis ${axis}, and the model takes ${expected}`)
}

/** Writes a tensor as the plan's types hold it. @throws integer_too_large for a whole number beyond 32 bits */
export function writeTensor(memory: ArrayBufferLike, address: number, name: string, value: Tensor): void {
  const { data } = value
  switch (value.datatype) {
    case 'FP32':
      new Float32Array(memory, address, data.length).set(value.data)
      return
    case 'FP16':
      new Float32Array(memory, address, data.length).set(
        new Float16Array(value.data.buffer, value.data.byteOffset, value.data.length),
      )
      return
    case 'BOOL': {
      const target = new Uint8Array(memory, address, data.length)
      for (let index = 0; index < target.length; index++) target[index] = value.data[index] === 0 ? 0 : 1
      return
    }
    case 'INT64':
      writeLong(new Int32Array(memory, address, data.length), name, value.data)
      return
    case 'INT32':
    case 'INT16':
    case 'INT8':
    case 'UINT16':
    case 'UINT8':
      new Int32Array(memory, address, data.length).set(value.data)
      return
    default:
      throw refused(name, `has datatype ${value.datatype}, which this engine does not take`)
  }
}

function writeLong(target: Int32Array, name: string, data: BigInt64Array): void {
  // Two words a number, the lower one first: four times as fast as bigints.
  const words = new Int32Array(data.buffer, data.byteOffset, data.length * 2)
  for (let index = 0; index < target.length; index++) {
    const low = words[index * 2] ?? 0
    if (words[index * 2 + 1] !== low >> 31) {
      throw refused(
        name,
        `has the number ${data[index]}, and Verge's own engine, which runs this model, takes whole numbers of 32 bits`,
        'integer_too_large',
      )
    }
    target[index] = low
  }
}

/** Copies a result out of the memory. */
export function readTensor(
  memory: ArrayBufferLike,
  address: number,
  datatype: Datatype,
  shape: readonly number[],
  count: number,
): Tensor {
  switch (datatype) {
    case 'FP16': {
      const halves = Float16Array.from(new Float32Array(memory, address, count))
      return tensor('FP16', shape, new Uint16Array(halves.buffer))
    }
    case 'BOOL':
      return tensor('BOOL', shape, new Uint8Array(memory, address, count).slice())
    case 'INT64':
      return tensor('INT64', shape, BigInt64Array.from(new Int32Array(memory, address, count), BigInt))
    case 'INT32':
      return tensor('INT32', shape, new Int32Array(memory, address, count).slice())
    case 'INT16':
      return tensor('INT16', shape, Int16Array.from(new Int32Array(memory, address, count)))
    case 'INT8':
      return tensor('INT8', shape, Int8Array.from(new Int32Array(memory, address, count)))
    case 'UINT16':
      return tensor('UINT16', shape, Uint16Array.from(new Int32Array(memory, address, count)))
    case 'UINT8':
      return tensor('UINT8', shape, Uint8Array.from(new Int32Array(memory, address, count)))
    default:
      return tensor('FP32', shape, new Float32Array(memory, address, count).slice())
  }
}

function refused(input: string, reason: string, code: ErrorCode = 'invalid_tensor'): VergeError {
  return new VergeError(code, `Input "${input}" ${reason}.`, { details: { input } })
}
