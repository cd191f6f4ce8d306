import type { Tensor } from '../../core/tensors.ts'
import { fromValue, specOf, toValue } from '../ort/values.ts'
import { Tensor as OrtTensor } from './runtime.ts'

export { fromValue as fromOrt, specOf }

/** The runtime's view of a tensor; numbers are shared, not copied. */
export function toOrt(name: string, value: Tensor): OrtTensor {
  return toValue(OrtTensor, name, value)
}
