import type { ErrorCode } from '../../../core/errors.ts'
import type { Kernels } from '../kernels.ts'
import type { AttributeRule, Binding, Bound, Frame, View } from './operator.ts'

/** A kernel that may refuse the data of a run, in the place of a step's `run`. */
export interface Guarded {
  /** @returns -1, or what is wrong, which `refusal` understands */
  run(kernels: Kernels, frame: Frame): number
  refusal(said: number, kernels: Kernels, frame: Frame): Refusal
}

export interface Refusal {
  readonly code: Extract<ErrorCode, 'run_rejected' | 'integer_too_large'>
  /** As a part of a sentence. */
  readonly reason: string
}

/**
 * A step that looks things up, whose kernel says where the first id is that is out of range.
 * @param size how many things there are; negative ids count from the end
 */
export function lookingUp(ids: View, size: number, run: Guarded['run']): Pick<Bound, 'guarded'> {
  const refusal: Guarded['refusal'] = (place, { memory }, frame) => {
    const [id] = new Int32Array(memory.buffer, ids.at(frame) + place * 4, 1)
    return { code: 'run_rejected', reason: outOfRange(id, size) }
  }
  return { guarded: { run, refusal } }
}

export function outOfRange(id: number | undefined, size: number): string {
  return size === 0 ? 'there is nothing to look up' : `index ${id} is out of range, which is ${-size} to ${size - 1}`
}

/** Of steps of whole numbers: 1 refuses a run whose results they would not be. */
export const CHECKED: Readonly<Record<'checked', AttributeRule>> = { checked: { type: 'number', otherwise: 0 } }

export const BEYOND = "it gives a whole number beyond 32 bits, which Verge's own engine does not hold"

/** As `NO_QUOTIENT` in `assembly/checks.ts`. */
const NO_QUOTIENT = 1

/** A step of whole numbers, whose kernel says whether its results are right; a step that is not `checked` takes them as they are. */
export function checking(step: Binding, run: Guarded['run']): Pick<Bound, 'guarded' | 'run'> {
  if (!isChecked(step)) return { run }
  const refusal: Guarded['refusal'] = (said) =>
    said === NO_QUOTIENT
      ? { code: 'run_rejected', reason: 'it divides a whole number by 0' }
      : { code: 'integer_too_large', reason: BEYOND }
  return { guarded: { run, refusal } }
}

export function isChecked(step: Binding): boolean {
  return step.number('checked') === 1
}
