/** Row-major strides in elements. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length).fill(1)
  for (let axis = shape.length - 2; axis >= 0; axis--) strides[axis] = (strides[axis + 1] ?? 1) * (shape[axis + 1] ?? 1)
  return strides
}

/** Strides of an operand as it is read for each element of `shape`, or undefined where it does not broadcast to it. */
export function broadcastStrides(operand: readonly number[], shape: readonly number[]): number[] | undefined {
  const lead = shape.length - operand.length
  if (lead < 0) return undefined
  const own = stridesOf(operand)
  const strides = new Array<number>(shape.length).fill(0)
  for (const [axis, size] of operand.entries()) {
    if (size === shape[axis + lead]) strides[axis + lead] = size === 1 ? 0 : (own[axis] ?? 0)
    else if (size !== 1) return undefined
  }
  return strides
}

/** ONNX's broadcast of two shapes, or undefined. */
export function broadcastShape(left: readonly number[], right: readonly number[]): number[] | undefined {
  const rank = Math.max(left.length, right.length)
  const shape: number[] = []
  for (let axis = 0; axis < rank; axis++) {
    const a = left[axis - rank + left.length] ?? 1
    const b = right[axis - rank + right.length] ?? 1
    if (a !== b && a !== 1 && b !== 1) return undefined
    shape.push(a === 1 ? b : a)
  }
  return shape
}

/** Axes that the kernels walk. */
const AXES = 6

/**
 * Joins axes that lie one in the other for all operands, and fills up with axes of one element to six.
 * @returns the sizes, then the strides of each operand; undefined where more than six are left
 */
export function walk(shape: readonly number[], operands: readonly (readonly number[])[]): number[] | undefined {
  const sizes: number[] = []
  const strides: number[][] = operands.map(() => [])
  for (const [axis, size] of shape.entries()) {
    if (size === 1) continue
    const last = sizes.length - 1
    const joins = last >= 0 && operands.every((own, index) => strides[index]?.[last] === (own[axis] ?? 0) * size)
    if (joins) {
      sizes[last] = (sizes[last] ?? 1) * size
      operands.forEach((own, index) => {
        ;(strides[index] as number[])[last] = own[axis] ?? 0
      })
    } else {
      sizes.push(size)
      operands.forEach((own, index) => {
        strides[index]?.push(own[axis] ?? 0)
      })
    }
  }
  if (sizes.length > AXES) return undefined
  const fill = AXES - sizes.length
  return [
    ...new Array<number>(fill).fill(1),
    ...sizes,
    ...strides.flatMap((own) => [...new Array<number>(fill).fill(0), ...own]),
  ]
}
