import type { Accuracy } from '../../catalog/manifest.ts'
import { measureAccuracy } from '../samples/accuracy.ts'
import { type BuildContext, referenceEngine } from './context.ts'
import type { Chosen, SampleSet } from './precision.ts'

/** How well the chosen form does its task on labelled samples, or agrees with the original on others. Null without any. */
export async function measuredAccuracy(
  original: Uint8Array,
  { onnx, quantized }: Chosen,
  { samples, synthetic, classes }: SampleSet,
  { progress, signal }: BuildContext,
): Promise<Accuracy | null> {
  if (synthetic || quantized === undefined) return null
  const task = progress.task('Measuring accuracy', undefined, 'steps')
  const { metric, score, baseline, count } = await measureAccuracy(onnx, {
    engine: referenceEngine(),
    original,
    samples,
    signal,
    ...(classes !== undefined && { classes }),
  })
  task.done(`${metric} ${(100 * score).toFixed(2)} %, original ${(100 * baseline).toFixed(2)} %`)
  return { metric, value: score, baseline, samples: count }
}
