import { equal, numberOf, ONE, type Size } from '../size.ts'
import type { Builder } from './builder.ts'

/** Numpy's broadcasting of shapes. @throws Declined where it cannot be shown that two sizes agree */
export function broadcast(build: Builder, ...shapes: readonly (readonly Size[])[]): Size[] {
  const rank = Math.max(0, ...shapes.map(({ length }) => length))
  return Array.from({ length: rank }, (_, axis) => {
    let result: Size = ONE
    for (const shape of shapes) {
      const dim = shape[axis - rank + shape.length] ?? ONE
      if (numberOf(dim) === 1 || equal(dim, result)) continue
      if (numberOf(result) !== 1)
        throw build.decline('it combines tensors of which it is not known that their shapes agree')
      result = dim
    }
    return result
  })
}
