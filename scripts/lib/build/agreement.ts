import type { Sample } from '../../../src/quantize/types.ts'
import { Comparison, strayings } from '../verify/compare.ts'
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

/**
 * Whether a precision is worth going on with: the candidate in onnxruntime-node against the original. The proof in
 * workerd comes later, and takes longer.
 * @returns what strays beyond the tolerance, a sentence each
 */
export async function strayingsOf(options: AgreementOptions): Promise<string[]> {
  const { signal, samples, classes, tolerance } = options
  const original = await referenceSession(options.original, signal)
  try {
    const candidate = await referenceSession(options.candidate, signal)
    try {
      const outputs = tensorOutputs(original)
      const comparisons = outputs.map((name) => new Comparison(name, { classes }))
      for (const { inputs } of samples) {
        signal.throwIfAborted()
        const expected = await original.run(inputs, { outputs, signal })
        const actual = await candidate.run(inputs, { outputs, signal })
        for (const [index, name] of outputs.entries()) {
          const value = expected.get(name)
          if (value) comparisons[index]?.add(value, actual.get(name))
        }
      }
      return comparisons.flatMap((comparison) => {
        const agreement = comparison.result()
        const judged = classes ? agreement : { ...agreement, top1: null }
        return strayings(judged, tolerance).map((what) => `output "${agreement.output}" ${what}`)
      })
    } finally {
      candidate.dispose()
    }
  } finally {
    original.dispose()
  }
}
