import { encodeModel } from '../../onnx/codec.ts'
import { planMixedPrecision } from '../../quantize/plan/plan.ts'
import type { PlanLayer, PrecisionPlan } from '../../quantize/plan/precision-levels.ts'
import { prepareModel } from '../../quantize/prepare.ts'
import { type Quantized, quantizePrepared, refuseQuantized } from '../../quantize/quantize.ts'
import type { Dtype, LayerResult, QuantizeEnv } from '../../quantize/types.ts'
import { confidenceNote, createEvaluator, splitSamples } from '../samples/accuracy.ts'
import { UsageError } from '../terminal/command-line.ts'
import { binarySize } from '../terminal/format.ts'
import { referenceEngine } from './context.ts'
import type { LoadedModel } from './load.ts'
import type { Chosen, PrecisionContext, SampleSet } from './precision.ts'
import { quantizeOptions } from './quantize-options.ts'
import type { QuantizeSettings } from './quantize-settings.ts'

/**
 * The smallest mix of precisions that loses no more accuracy than allowed: measured layer by layer on a part of the
 * samples, and confirmed on the rest.
 * @throws OnnxError disagrees, UsageError for too few samples
 */
export async function mixPrecisions(
  loaded: LoadedModel,
  settings: QuantizeSettings,
  { samples, classes }: SampleSet,
  { signal, progress }: PrecisionContext,
): Promise<Chosen> {
  const { maxDrop = 0 } = settings
  const env: QuantizeEnv = { engine: referenceEngine(), signal }
  const options = quantizeOptions(settings)
  refuseQuantized(loaded.model, 'q4')
  const prepared = await prepareModel(loaded.model, env)
  const quantizeWith = (plan: PrecisionPlan): Promise<Quantized> =>
    quantizePrepared(prepared.model, { ...options, dtype: 'q4', plan }, env)
  const layers = await layersOf(
    (dtype) =>
      quantizePrepared(prepared.model, { ...options, dtype, method: dtype === 'q4' ? 'auto' : 'dynamic' }, env),
    settings.dtype,
  )
  if (layers.length === 0) throw new UsageError('The model has no layer that can be quantized. Remove --max-drop.')

  const { choose, confirm } = splitSamples(samples)
  const common = { engine: env.engine, original: loaded.onnx, signal, ...(classes !== undefined && { classes }) }
  const chooser = await createEvaluator({ ...common, samples: choose })
  const confirmer = await createEvaluator({ ...common, samples: confirm, metric: chooser.metric })
  const task = progress.task('Mixing precisions', 100, 'steps')
  const mixed = await planMixedPrecision({
    layers,
    quantizeWith: async (plan) => encodeModel((await quantizeWith(plan)).model),
    evaluate: async (model) => (await chooser.evaluate(model)).score,
    error: (model) => chooser.error(model),
    confirm: async (model) => (await confirmer.evaluate(model)).score,
    maxDrop,
    lowest: isEight(settings.dtype) ? 'int8' : 'q4',
    signal,
    progress: (_step, done, total) => task.set((100 * done) / Math.max(1, total)),
  })
  const { model, ...result } = await quantizeWith(mixed.plan)
  const onnx = encodeModel(model)
  task.done(`${mixed.evaluated} models were measured`)
  const percent = (share: number): string => `${(100 * share).toFixed(2)} %`
  const confidence = confidenceNote(await chooser.evaluate(onnx), maxDrop)
  return {
    dtype: dtypeOf(mixed.plan),
    onnx,
    quantized: { ...result, applied: [...prepared.applied, ...result.applied] },
    notes: [
      ...prepared.notes,
      `precision: mixed (${counts(mixed.plan)}), weights ${binarySize(mixed.bytes)}: ${chooser.metric} ${percent(mixed.accuracy)} of ${percent(mixed.baseline)} on ${chooser.count} samples`,
      ...(mixed.confirmed
        ? [
            `on ${confirmer.count} samples held back: ${percent(mixed.confirmed.accuracy)} of ${percent(mixed.confirmed.baseline)}`,
          ]
        : []),
      ...(confidence === undefined ? [] : [confidence]),
      ...result.notes,
    ],
  }
}

/** What each layer takes in each precision that it can have. */
async function layersOf(
  quantize: (dtype: 'q4' | 'q8') => Promise<Quantized>,
  asked: QuantizeSettings['dtype'],
): Promise<PlanLayer[]> {
  const inEight = (await quantize('q8')).layers.filter(({ to }) => to.endsWith('8'))
  const inFour = isEight(asked) ? [] : (await quantize('q4')).layers.filter(isFour)
  const keyOf = ({ node, weight }: LayerResult): string => JSON.stringify([node, weight])
  const four = new Map(inFour.map((layer) => [keyOf(layer), layer]))
  const eight = new Map(inEight.map((layer) => [keyOf(layer), layer]))
  return [...new Map([...four, ...eight]).entries()].map(([key, { node, weight, bytesBefore }]) => {
    const int8 = eight.get(key)?.bytesAfter
    const q4 = four.get(key)?.bytesAfter
    return {
      node,
      weight,
      bytes: { fp32: bytesBefore, ...(int8 !== undefined && { int8 }), ...(q4 !== undefined && { q4 }) },
    }
  })
}

function isEight(dtype: QuantizeSettings['dtype']): boolean {
  return dtype === 'q8' || dtype === 'int8'
}

function isFour({ to }: LayerResult): boolean {
  return to.endsWith('4')
}

/** The precision that names a mix, and so its tolerance: its lowest. */
function dtypeOf(plan: PrecisionPlan): Dtype {
  const used = new Set(plan.values())
  if (used.has('q4')) return 'q4'
  return used.has('int8') ? 'q8' : 'fp32'
}

function counts(plan: PrecisionPlan): string {
  const used = new Map<string, number>()
  for (const precision of plan.values()) used.set(precision, (used.get(precision) ?? 0) + 1)
  return [...used].map(([precision, count]) => `${count} in ${precision}`).join(', ')
}
