import { decodeModel } from '../../onnx/codec.ts'
import { safeName } from '../../onnx/errors.ts'
import { assessOutput } from '../verify/assess-output.ts'
import { Comparison } from '../verify/compare.ts'
import { ExerciseWatch } from '../verify/exercise.ts'
import { outputRanges } from '../verify/ranges.ts'
import { referenceSession } from '../verify/reference.ts'
import { type Tolerance, toleranceFor } from '../verify/tolerance.ts'
import { type FixedRun, outputsOf } from './fixed-run.ts'

/**
 * How a run of a compiled artifact differs from what onnxruntime-node computes of the same inputs with the file that it was
 * compiled from, as a sentence; undefined where it agrees. A proof compares with more inputs, in a Worker; this finds, at
 * any packing, what is plainly wrong.
 */
export async function differenceOf(
  { inputs, outputs }: FixedRun,
  onnx: Uint8Array,
  { dtype, signal }: { readonly dtype: string; readonly signal: AbortSignal },
): Promise<string | undefined> {
  const session = await referenceSession(onnx, signal)
  try {
    const expected = await outputsOf(session, inputs, signal)
    if (expected === undefined) return 'ONNX Runtime refuses an input that it runs on'
    const ranges = outputRanges(decodeModel(onnx))
    const tolerance = toleranceFor(dtype, isRounded(dtype) ? ROUNDED : FLOATS)
    for (const [name, value] of expected) {
      const comparison = new Comparison(name, { classes: false })
      const watch = new ExerciseWatch()
      watch.add(value)
      comparison.add(value, outputs.get(name))
      const [agreement, exercise] = [comparison.result(), watch.result()]
      // What is NaN shows nothing, and a few numbers near zero may have lost what they are to rounding.
      if (exercise.nans > 0 || (isRounded(dtype) && agreement.elements < FEWEST)) continue
      const { deviations } = assessOutput(agreement, exercise, tolerance, ranges.get(name))
      if (deviations.length > 0) return `output "${safeName(name)}" ${deviations.join('; ')}`
    }
    return undefined
  } finally {
    session.dispose()
  }
}

/** Elements of an output of less than 32 bits that are compared at least. */
const FEWEST = 8
/** One made-up input decides here, so only what no rounding explains is a difference. */
const FLOATS: Partial<Tolerance> = { cosine: 0.999, relative: 0.05 }
/** Both sides round, each in its way; where scores are close, another class is the best one. */
const ROUNDED: Partial<Tolerance> = { cosine: 0.9, relative: 0.5, agreement: 0 }

function isRounded(dtype: string): boolean {
  return dtype !== 'fp32'
}
