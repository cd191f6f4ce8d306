import { sha256 } from '../pack/bytes.ts'
import { samplesDigest } from './evidence.ts'
import { type Kept, keptResults } from './kept.ts'
import type { LoadedModel } from './load.ts'
import type { Chosen, choosePrecision, PrecisionContext, SampleSet } from './precision.ts'
import type { QuantizeSettings } from './quantize-settings.ts'

/**
 * The precision that was chosen for the same model, settings and samples before, or `choose`'s choice: it quantizes,
 * compares and, with `--max-drop`, measures hundreds of models.
 * @throws what `choose` throws
 */
export async function keptChoice(
  loaded: LoadedModel,
  settings: QuantizeSettings,
  set: SampleSet,
  context: PrecisionContext,
  choose: typeof choosePrecision,
  kept: Kept = keptResults(),
): Promise<Chosen> {
  const { classes, samples, synthetic } = set
  const parts = {
    original: sha256(loaded.onnx),
    settings,
    samples: samplesDigest(samples),
    synthetic,
    classes,
    tolerance: context.tolerance,
    choose: choose.name,
  }
  const before = await kept.find<Omit<Chosen, 'onnx'> & { readonly onnx: Uint8Array | null }>('choice', parts)
  if (before !== undefined) {
    const { dtype, notes, onnx, quantized } = before
    return { dtype, notes, quantized, onnx: onnx ?? loaded.onnx }
  }
  const chosen = await choose(loaded, settings, set, context)
  const { dtype, notes, onnx, quantized } = chosen
  // A model that is taken as it came is not stored a second time.
  await kept.put('choice', parts, { dtype, notes, quantized, onnx: onnx === loaded.onnx ? null : onnx })
  return chosen
}
