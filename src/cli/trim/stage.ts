import type { Accuracy } from '../../catalog/manifest.ts'
import type { BuildContext } from '../build/context.ts'
import type { LoadedModel } from '../build/load.ts'
import type { SampleSet } from '../build/precision.ts'
import type { QuantizeSettings } from '../build/quantize-settings.ts'
import { realTexts, type SampleNeeds, samplesFor } from '../build/samples.ts'
import type { Description } from '../pack/description.ts'
import { decimalSize, percent } from '../report/format.ts'
import { UsageError } from '../terminal/command-line.ts'
import type { TrimSettings } from './options.ts'
import {
  measureLoss,
  proveTrimming,
  type TrimLoss,
  type TrimProof,
  type TrimProofOptions,
  withNumbers,
} from './proof.ts'
import { type Trimmed, type TrimmedSizes, trimModel } from './trim.ts'

/** What a report says of a trimmed vocabulary. */
export interface Trimming extends TrimmedSizes {
  /** Null where no samples could be made of texts. */
  readonly loss: TrimLoss | null
}

/** A model as it goes on to quantization, trimmed where that is asked for. */
export interface TrimStage {
  readonly loaded: LoadedModel
  readonly set: SampleSet
  /** With what trimming left of the drop that is allowed. */
  readonly quantize: QuantizeSettings
  readonly trimming: Trimming | null
  /** For the list of choices. */
  readonly notes: readonly string[]
  /**
   * The accuracy of a model made of the trimmed one, beside the original with its own tokenizer; null without a person's
   * samples. Undefined where nothing was trimmed.
   */
  readonly accuracyOf?: (onnx: Uint8Array) => Promise<Accuracy | null>
}

export interface TrimStageSettings {
  readonly trim: TrimSettings | undefined
  readonly quantize: QuantizeSettings
  readonly samples: SampleNeeds
}

/**
 * Trims a model's vocabulary, where that is asked for, and measures the loss: the original reads samples by its own
 * tokenizer, and the trimmed model by its own. What follows (quantization, packing, proof) starts from the trimmed model and
 * its samples, so that both sides of every later comparison read the same numbers.
 * @throws UsageError where more is lost than `--max-drop` allows, and what `trimModel` and `proveTrimming` throw
 */
export async function trimStage(
  loaded: LoadedModel,
  description: Description,
  { quantize, samples, trim }: TrimStageSettings,
  context: BuildContext,
): Promise<TrimStage> {
  if (trim === undefined) {
    return { loaded, set: await samplesFor(loaded, description, samples, context), quantize, trimming: null, notes: [] }
  }
  const trimmed = await trimModel(loaded, description, trim, context)
  const set = await samplesFor(trimmed.loaded, description, { ...samples, renumber: renumbering(trimmed) }, context)
  const given = samples.samples !== undefined
  const before = given
    ? (await samplesFor(loaded, description, samples, context)).samples
    : await realTexts(loaded, description, context.signal)
  const after = given ? set.samples : await realTexts(trimmed.loaded, description, context.signal)
  const task = context.progress.task('Comparing the trimmed model', undefined, 'steps')
  const proof: TrimProofOptions = {
    original: loaded.onnx,
    trimmed: trimmed.loaded.onnx,
    kept: trimmed.kept,
    before,
    after,
    classes: set.classes,
    settings: description.preprocess,
    signal: context.signal,
  }
  const { loss, same } = await proveTrimming(proof)
  task.done(loss !== undefined ? lossText(loss) : same > 0 ? SAME : 'the model takes no input that Verge has')
  return {
    loaded: trimmed.loaded,
    set,
    quantize: withinDrop(quantize, loss),
    trimming: { ...trimmed.sizes, loss: loss ?? null },
    notes: notesOf(trimmed, { loss, same }, given),
    accuracyOf: async (onnx) => {
      if (!given) return null
      return accuracyIn(onnx === trimmed.loaded.onnx ? loss : await measureLoss(onnx, proof))
    },
  }
}

function accuracyIn(loss: TrimLoss | undefined): Accuracy | null {
  if (loss === undefined) return null
  const { baseline, metric, samples, value } = loss
  return { metric, value, baseline, samples }
}

/** Samples that are tensors have the old numbers. */
function renumbering({ kept }: Trimmed): NonNullable<SampleNeeds['renumber']> {
  const places = new Map(Array.from(kept, (id, place) => [id, place] as const))
  return (inputs) =>
    withNumbers(inputs, (number) => {
      const place = places.get(number)
      if (place !== undefined) return place
      throw new UsageError(
        `bad samples: the token ${number} is not in the trimmed vocabulary. Give samples with texts, or keep more tokens.`,
      )
    })
}

/** @throws UsageError where trimming alone loses more than is allowed */
function withinDrop(quantize: QuantizeSettings, loss: TrimLoss | undefined): QuantizeSettings {
  if (quantize.maxDrop === undefined || loss === undefined) return quantize
  const drop = 100 * (loss.baseline - loss.value)
  if (drop <= quantize.maxDrop) return { ...quantize, maxDrop: quantize.maxDrop - Math.max(0, drop) }
  throw new UsageError(
    `Trimming the vocabulary alone loses ${drop.toFixed(2)} points on the samples, more than --max-drop ${quantize.maxDrop}. Keep more tokens: raise --vocabulary, add --languages, or give texts like the samples as --keep-corpus.`,
  )
}

const SAME = 'the same tokens have the same answer'

function notesOf({ mapped, sizes }: Trimmed, { loss, same }: TrimProof, given: boolean): string[] {
  const { tables, tokenizer, tokens } = sizes
  const change = ({ after, before }: { readonly before: number; readonly after: number }): string =>
    `${decimalSize(before)} to ${decimalSize(after)}`
  return [
    `vocabulary: ${tokens.before} tokens to ${tokens.after}; tables ${change(tables)}, compiled tokenizer ${change(tokenizer)}`,
    ...(mapped ? ['vocabulary: the graph computes with the numbers of tokens, so it has a table of the old ones'] : []),
    loss === undefined
      ? `loss of trimming: not measured, because Verge has no texts that become inputs of this model; ${same > 0 ? SAME : 'nothing was compared. Give texts as --samples'}`
      : `loss of trimming on ${given ? 'the samples' : 'texts that Verge contains'}: ${lossText(loss)}`,
  ]
}

function lossText({ baseline, metric, samples, samplesUnchanged, tokensKept, value }: TrimLoss): string {
  const score =
    metric === 'accuracy'
      ? `accuracy ${percent(value, 2)} of ${percent(baseline, 2)}`
      : metric === 'agreement'
        ? `${percent(value, 2)} of the answers agree`
        : `mean cosine ${value.toFixed(4)}`
  return `${percent(tokensKept, 2)} of the tokens stay, ${percent(samplesUnchanged, 1)} of ${samples} samples have the same tokens, ${score}`
}
