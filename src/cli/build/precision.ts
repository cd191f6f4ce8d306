import { isVergeError } from '../../core/errors.ts'
import { encodeModel } from '../../onnx/codec.ts'
import { summarizeModel } from '../../quantize/model-summary.ts'
import { heldTo, precisionOf } from '../../quantize/precision.ts'
import { isUnsuitable, type Quantized, quantizeModel } from '../../quantize/quantize.ts'
import { quantizedOps } from '../../quantize/quantized-ops.ts'
import type { TableOptions } from '../../quantize/tables/tables.ts'
import type { Dtype, Sample } from '../../quantize/types.ts'
import { UsageError } from '../terminal/command-line.ts'
import { toleranceFor } from '../verify/tolerance.ts'
import { agreementOf } from './agreement.ts'
import { type BuildContext, referenceEngine } from './context.ts'
import type { LoadedModel } from './load.ts'
import { mixPrecisions } from './mix.ts'
import { quantizeOptions } from './quantize-options.ts'
import type { QuantizeSettings } from './quantize-settings.ts'
import { choosesTables, tableNotes, withSmallerTables } from './tables.ts'

/** Samples with their properties. */
export interface SampleSet {
  readonly samples: readonly Sample[]
  /** True for generated samples, because the person gave none. */
  readonly synthetic: boolean
  /** How many classes the model has; undefined where it does not classify. */
  readonly classes: number | undefined
}

/** A model in the precision that was chosen. */
export interface Chosen {
  readonly dtype: Dtype
  readonly onnx: Uint8Array
  /** Undefined where the model is taken as it is. */
  readonly quantized: Omit<Quantized, 'model'> | undefined
  /** The choices and their reasons. */
  readonly notes: readonly string[]
}

export interface PrecisionContext extends BuildContext {
  readonly tolerance: number | undefined
}

/** Weights below this are not worth a quantized form: the file is small, and its nodes would be more than it saves. */
const LEAST_FLOATS = 16 * 1024

/**
 * Makes the model small as asked, or as suits it: 8 bits where the answers stay as they are, else weights alone in 8
 * bits, else as it is.
 * @throws OnnxError where it cannot be done as asked
 */
export async function choosePrecision(
  loaded: LoadedModel,
  settings: QuantizeSettings,
  set: SampleSet,
  context: PrecisionContext,
): Promise<Chosen> {
  if (settings.maxDrop !== undefined) return mixPrecisions(loaded, settings, set, context)
  if (settings.dtype !== 'auto') {
    if (settings.dtype === 'fp32' && !settings.prune) return asItIs(loaded, 'fp32, as requested')
    const chosen = await quantized(loaded, settings.dtype, settings, set, context)
    if (!choosesTables(settings, context) || !isEight(settings.dtype)) return chosen
    return smallest(chosen, settings.dtype, loaded, settings, set, context)
  }
  const found = quantizedOps(loaded.model)
  if (found.length > 0) {
    const real = precisionOf(loaded.model)
    const dtype = real === 'q8' ? 'int8' : real
    return { ...asItIs(loaded, `unchanged: the model is already quantized (${found.slice(0, 3).join(', ')})`), dtype }
  }
  const floats = summarizeModel(loaded.model)
    .weights.filter(({ kind }) => kind !== 'other')
    .reduce((sum, group) => sum + group.floats, 0)
  if (floats < LEAST_FLOATS && !settings.prune) {
    return asItIs(
      loaded,
      `fp32: the model has only ${floats} weights that can be quantized, so quantization would save little`,
    )
  }
  if (set.samples.length === 0) {
    return asItIs(
      loaded,
      'fp32: Verge found no input for comparing 8 bits with the original; set --dtype q8, or give --samples',
    )
  }
  return firstThatAgrees(loaded, settings, set, context)
}

/**
 * Makes a model small as asked, which cannot be compared with its original; as it is, where nothing is asked.
 * @throws UsageError for `--max-drop`, which compares; OnnxError where it cannot be done as asked
 */
export async function withoutComparing(
  loaded: LoadedModel,
  settings: QuantizeSettings,
  set: SampleSet,
  context: BuildContext,
): Promise<Chosen> {
  if (settings.maxDrop !== undefined) {
    throw new UsageError('--max-drop compares outputs, but this model draws random numbers. Set --dtype instead.')
  }
  if (settings.dtype !== 'auto' && !(settings.dtype === 'fp32' && !settings.prune)) {
    return quantized(loaded, settings.dtype, settings, set, context)
  }
  return asItIs(loaded, 'fp32: outputs of a model that draws random numbers cannot be compared')
}

async function firstThatAgrees(
  loaded: LoadedModel,
  settings: QuantizeSettings,
  set: SampleSet,
  context: PrecisionContext,
): Promise<Chosen> {
  const notes: string[] = []
  const methods = settings.method === 'auto' ? (['auto', 'weights'] as const) : [settings.method]
  for (const method of methods) {
    try {
      const candidate = await quantized(loaded, 'q8', { ...settings, method }, set, context)
      if (candidate.quantized?.layers.length === 0) {
        return asItIs(loaded, 'fp32: the model has no layer that can be quantized', candidate.quantized.skipped.length)
      }
      const { shown, differences } = await agreementOf({
        original: loaded.onnx,
        candidate: candidate.onnx,
        samples: set.samples.slice(0, AGREEMENT_SAMPLES),
        tolerance: toleranceFor(
          candidate.dtype === 'q4' ? 'q4' : 'q8',
          context.tolerance === undefined ? {} : { cosine: context.tolerance },
        ),
        classes: set.classes !== undefined && !set.synthetic,
        signal: context.signal,
      })
      // Without a proof there may be no samples.
      if (differences.length === 0 && (shown || set.samples.length === 0)) {
        const chosen = choosesTables(settings, context)
          ? await smallest(candidate, 'q8', loaded, { ...settings, method }, set, context)
          : candidate
        return { ...chosen, notes: [...notes, ...chosen.notes] }
      }
      const why = differences[0] ?? 'the samples exercise no output'
      notes.push(`8 bits (${candidate.quantized?.method ?? method}) was rejected: ${why}`)
      if (candidate.quantized?.method === 'weights') break
    } catch (error) {
      // Some runtimes lack the kernels that a form needs.
      if (!isUnsuitable(error) && !isVergeError(error, 'model_invalid')) throw error
      notes.push(`8 bits (${method}) cannot be used for this model: ${(error as Error).message}`)
    }
  }
  notes.push('8 bits: no method agrees with the original')
  const chosen = settings.prune ? await quantized(loaded, 'fp32', settings, set, context) : asItIs(loaded, 'fp32')
  return { ...chosen, notes: [...notes, ...chosen.notes] }
}

const AGREEMENT_SAMPLES = 32

/** A model in 8 bits with its tables in the smallest form that agrees with the original. */
function smallest(
  eight: Chosen,
  dtype: Dtype,
  loaded: LoadedModel,
  settings: QuantizeSettings,
  set: SampleSet,
  context: PrecisionContext,
): Promise<Chosen> {
  return withSmallerTables(eight, loaded, set, context, (tables) =>
    quantized(loaded, dtype, settings, set, context, tables),
  )
}

function isEight(dtype: Dtype): boolean {
  return dtype === 'q8' || dtype === 'int8' || dtype === 'uint8'
}

function asItIs({ onnx }: LoadedModel, note: string, skipped = 0): Chosen {
  const more = skipped > 0 ? ` (${skipped} layers not quantized)` : ''
  return { dtype: 'fp32', onnx, quantized: undefined, notes: [`precision: ${note}${more}`] }
}

async function quantized(
  { model }: LoadedModel,
  dtype: Dtype,
  settings: QuantizeSettings,
  { samples, synthetic }: SampleSet,
  { signal, progress }: BuildContext,
  tables?: TableOptions,
): Promise<Chosen> {
  const task = progress.task(`Quantizing to ${dtype}${tables ? `, tables ${tables.form}` : ''}`, undefined, 'steps')
  try {
    const result = await quantizeModel(
      model,
      {
        ...quantizeOptions(settings),
        ...(tables && { tables }),
        dtype,
        method: settings.method,
        samples: synthetic ? [] : samples,
      },
      { engine: referenceEngine(), signal, progress: (_step, done) => task.set(done) },
    )
    const onnx = encodeModel(result.model)
    const what = `${result.layers.length} layers`
    task.done(`${what}${result.skipped.length > 0 ? `, ${result.skipped.length} not quantized` : ''}`)
    const real = heldTo(dtype, precisionOf(result.model)) as Dtype
    const notes = tableNotes(result.layers)
    const note = real === dtype ? dtype : `${real}: ${whyOther(dtype, notes.length > 0)}`
    const { model: _, ...rest } = result
    return { dtype: real, onnx, quantized: rest, notes: [`precision: ${note}`, ...result.notes, ...notes] }
  } catch (error) {
    task.done('not possible')
    throw error
  }
}

function whyOther(dtype: Dtype, hasSmallTables: boolean): string {
  return hasSmallTables ? `${dtype} with tables in 4 bits` : `no layer of this model can be quantized to ${dtype}`
}
