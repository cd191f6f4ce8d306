import type { DataType } from '../../onnx/data.ts'
import { combined, hasZero } from '../range.ts'
import { broadcast } from './broadcast.ts'
import type { Builder } from './builder.ts'
import type { InBuffer, Lowered } from './values.ts'

/** What wraps around in INT32, as ONNX Runtime's does. */
const WRAPPING: readonly string[] = ['add', 'sub', 'mul']
/** What has no result for a divisor of 0. */
const DIVIDING: readonly string[] = ['div', 'mod', 'fmod']

/** A step of two values that broadcast, checked in the run where its whole numbers may not be what the engine holds. */
export function binaryStep(
  build: Builder,
  left: Lowered,
  right: Lowered,
  { kind, type }: { readonly kind: string; readonly type: DataType },
): InBuffer {
  const divisor = build.ranges.of(right)
  return build.step({
    op: 'binary',
    in: [build.operand(left), build.operand(right)],
    type,
    shape: broadcast(build, left.shape, right.shape),
    with: { kind },
    range: combined(kind, build.ranges.of(left), divisor),
    wraps: WRAPPING.includes(kind),
    checked: DIVIDING.includes(kind) && hasZero(divisor),
  })
}
