import { wilsonInterval } from '../statistics.ts'
import type { OutputAgreement } from './compare.ts'
import { type Exercise, stillness } from './exercise.ts'
import type { Tolerance } from './tolerance.ts'

/** The judgement of one output of an artifact. */
export interface OutputAssessment {
  /** Differences beyond the tolerance, as phrases that follow the output's name; empty if there are none. */
  readonly deviations: readonly string[]
  /** Why the samples show nothing of it; null where they do, and where it differs. */
  readonly unexercised: string | null
}

export interface AssessedOutput extends OutputAgreement {
  readonly unexercised: string | null
}

/** Magnitudes up to this are zero, whatever the range of an output. */
const NEGLIGIBLE = 1e-6

/**
 * Judges the agreement of an output as far as the samples can show it. An output that is negligible on both sides is
 * neither right nor wrong: the scores of a detector that finds nothing are rounding noise. A constant output can agree
 * by chance. Both are neither failures nor evidence.
 * @param range of the output's elements, 1 for probabilities; undefined where the graph does not say it
 */
export function assessOutput(
  agreement: OutputAgreement,
  exercise: Exercise,
  tolerance: Tolerance,
  range: number | undefined,
): OutputAssessment {
  const { elements, equal, kind, misshapen, notNumbers, top1 } = agreement
  const deviations: string[] = []
  if (misshapen > 0) deviations.push(`has a different shape or type for ${misshapen} samples`)
  if (exercise.nans > 0) {
    deviations.push(`is NaN in the outputs of the original, ${exercise.nans} of ${exercise.elements} elements`)
  } else if (notNumbers > 0) {
    deviations.push(`has ${notNumbers} elements that are NaN or infinite in only one of the two`)
  }
  if (kind === 'exact') {
    if (equal !== null && equal < tolerance.agreement * elements) {
      deviations.push(`has ${equal} of ${elements} elements correct; ${share(tolerance.agreement)} are required`)
    }
  } else {
    const errors = errorsOf(agreement, tolerance)
    const floor = Math.max(NEGLIGIBLE, tolerance.floor * (range ?? 0))
    const largest = Math.max(exercise.largest ?? 0, agreement.largest ?? 0)
    if (errors.length > 0 && deviations.length === 0 && largest <= floor) {
      return { deviations: [], unexercised: `all its values are below ${Number(floor.toPrecision(3))}` }
    }
    deviations.push(...errors)
    // A few samples may be unlucky: only what cannot be chance counts.
    if (top1 && wilsonInterval(top1.same, top1.rows)[1] < tolerance.agreement) {
      deviations.push(
        `has the same best class for ${top1.same} of ${top1.rows}; ${share(tolerance.agreement)} is required`,
      )
    }
  }
  return { deviations, unexercised: deviations.length > 0 ? null : stillness(exercise) }
}

function errorsOf({ cosine, relative }: OutputAgreement, tolerance: Tolerance): string[] {
  const errors: string[] = []
  if (cosine !== null && cosine < tolerance.cosine) {
    errors.push(`has a cosine similarity of ${cosine.toPrecision(5)}; at least ${tolerance.cosine} is required`)
  }
  if (relative !== null && relative > tolerance.relative) {
    errors.push(`has a relative error of ${share(relative)}; at most ${share(tolerance.relative)} is allowed`)
  }
  return errors
}

function share(value: number): string {
  return Number.isFinite(value) ? `${Number((value * 100).toPrecision(3))} %` : 'infinity'
}
