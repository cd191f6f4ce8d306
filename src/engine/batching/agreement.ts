import { floatElements, type Tensor, type Tensors } from '../../core/tensors.ts'

/** How far a batch's answer may be from the run's own, absolutely and relatively. */
const TOLERANCE = 1e-4
/** Half floats have eleven bits: two neighbouring ones differ by a thousandth. */
const HALF_TOLERANCE = 2e-3

/**
 * Whether a run's outputs are the same from a batch as alone. Products of matrices are summed in another order in a
 * batch, so floats may differ by a rounding; all else is equal.
 */
export function outputsAgree(batched: Tensors, alone: Tensors): boolean {
  if (batched.size !== alone.size) return false
  for (const [name, expected] of alone) {
    const found = batched.get(name)
    if (!found || !tensorsAgree(found, expected)) return false
  }
  return true
}

/** Whether two runs' inputs are the same, value by value: such two cannot show that one leaks into the other. */
export function sameInputs(left: Tensors, right: Tensors): boolean {
  for (const [name, value] of left) {
    const other = right.get(name)
    if (!other || !sameShape(value, other) || !everyValue<unknown>(value.data, other.data, (a, b) => Object.is(a, b)))
      return false
  }
  return left.size === right.size
}

function tensorsAgree(found: Tensor, expected: Tensor): boolean {
  if (found.datatype !== expected.datatype || !sameShape(found, expected)) return false
  const left = floatElements(found)
  const right = floatElements(expected)
  if (left !== undefined && right !== undefined) {
    const tolerance = expected.datatype === 'FP16' ? HALF_TOLERANCE : TOLERANCE
    return everyValue(left, right, (a, b) => near(a, b, tolerance))
  }
  return everyValue<unknown>(found.data, expected.data, (a, b) => a === b)
}

function near(found: number, expected: number, tolerance: number): boolean {
  if (Object.is(found, expected)) return true
  // The tolerance of an infinity would be infinite too.
  return Number.isFinite(expected) && Math.abs(found - expected) <= tolerance + tolerance * Math.abs(expected)
}

function sameShape(left: Tensor, right: Tensor): boolean {
  return left.shape.length === right.shape.length && left.shape.every((size, axis) => size === right.shape[axis])
}

function everyValue<T>(left: ArrayLike<T>, right: ArrayLike<T>, test: (left: T, right: T) => boolean): boolean {
  if (left.length !== right.length) return false
  for (let index = 0; index < left.length; index++) if (!test(left[index] as T, right[index] as T)) return false
  return true
}
