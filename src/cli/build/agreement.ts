import { decodeModel } from '../../onnx/codec.ts'
import { safeName } from '../../onnx/errors.ts'
import type { Sample } from '../../quantize/types.ts'
import { assessOutput } from '../verify/assess-output.ts'
import { Comparison } from '../verify/compare.ts'
import { ExerciseWatch } from '../verify/exercise.ts'
import { outputRanges } from '../verify/ranges.ts'
import { referenceSession, tensorOutputs } from '../verify/reference.ts'
import type { Tolerance } from '../verify/tolerance.ts'

export interface AgreementOptions {
  readonly original: Uint8Array
  readonly candidate: Uint8Array
  readonly samples: readonly Sample[]
  readonly tolerance: Tolerance
  /** Whether the best class counts: not for made-up samples, nor for models that do not classify. */
  readonly classes: boolean
  readonly signal: AbortSignal
}

/** How a candidate agrees with its original. */
export interface CandidateAgreement {
  /** Differences beyond the tolerance, one sentence each. */
  readonly differences: readonly string[]
  /** Outputs of which the samples show nothing, and why, a sentence each. */
  readonly unexercised: readonly string[]
  /** Whether the samples show anything of any output. */
  readonly shown: boolean
}

/**
 * Whether a precision is worth going on with: the candidate in onnxruntime-node against the original. The proof in
 * workerd comes later, and takes longer.
 */
export async function agreementOf(options: AgreementOptions): Promise<CandidateAgreement> {
  const { signal, samples, classes, tolerance } = options
  const original = await referenceSession(options.original, signal)
  try {
    const candidate = await referenceSession(options.candidate, signal)
    try {
      const outputs = tensorOutputs(original)
      const trials = outputs.map((name) => ({
        name,
        comparison: new Comparison(name, { classes }),
        watch: new ExerciseWatch(),
      }))
      for (const { inputs } of samples) {
        signal.throwIfAborted()
        const expected = await original.run(inputs, { outputs, signal })
        const actual = await candidate.run(inputs, { outputs, signal })
        for (const { name, comparison, watch } of trials) {
          const value = expected.get(name)
          if (value === undefined) continue
          watch.add(value)
          comparison.add(value, actual.get(name))
        }
      }
      const ranges = outputRanges(decodeModel(options.candidate))
      const judged = trials.map(({ name, comparison, watch }) => {
        const agreement = comparison.result()
        const of = classes ? agreement : { ...agreement, top1: null }
        return { name: `output "${safeName(name)}"`, ...assessOutput(of, watch.result(), tolerance, ranges.get(name)) }
      })
      return {
        differences: judged.flatMap(({ name, deviations }) => deviations.map((what) => `${name} ${what}`)),
        unexercised: judged.flatMap(({ name, unexercised }) =>
          unexercised === null ? [] : [`${name} is not exercised: ${unexercised}`],
        ),
        shown: judged.some(({ deviations, unexercised }) => deviations.length === 0 && unexercised === null),
      }
    } finally {
      candidate.dispose()
    }
  } finally {
    original.dispose()
  }
}
