import { safeName } from '../../onnx/errors.ts'
import type { TableForm, TableOptions } from '../../quantize/tables/tables.ts'
import type { LayerResult } from '../../quantize/types.ts'
import { binarySize } from '../terminal/format.ts'
import { toleranceFor } from '../verify/tolerance.ts'
import { agreementOf } from './agreement.ts'
import type { LoadedModel } from './load.ts'
import type { Chosen, PrecisionContext, SampleSet } from './precision.ts'
import type { QuantizeSettings } from './quantize-settings.ts'

/** Smaller tables do not decide whether a model fits: they keep their 8 bits unless something else is asked for. */
const LARGE_BYTES = 4 * 1024 * 1024
/** What is not smaller by this share is not worth a loss. */
const WORTH = 0.05
/** Samples that forms of tables are compared on. */
const SAMPLES = 32

/** Whether the form of tables is chosen by comparing: so it is asked, or it is said what may be lost. */
export function choosesTables(
  { embeddings }: QuantizeSettings,
  { tolerance }: Pick<PrecisionContext, 'tolerance'>,
): boolean {
  return embeddings === 'auto' || (embeddings === undefined && tolerance !== undefined)
}

/**
 * A model in 8 bits, or the same with its large tables in the smallest form with which it still agrees with the
 * original as closely as a model in 8 bits has to.
 * @param quantize the same model with its tables in another form
 */
export async function withSmallerTables(
  eight: Chosen,
  loaded: LoadedModel,
  { samples, classes, synthetic }: SampleSet,
  { signal, tolerance }: PrecisionContext,
  quantize: (tables: TableOptions) => Promise<Chosen>,
): Promise<Chosen> {
  const layers = eight.quantized?.layers ?? []
  if (!layers.some(({ op, bytesAfter }) => op === 'Gather' && bytesAfter >= LARGE_BYTES)) return eight
  if (samples.length === 0) return noted(eight, ['tables: 8 bits, because there are no samples to compare others on'])
  const notes: string[] = []
  const candidates: Chosen[] = []
  for (const form of ['low-rank', 'int4'] as const) {
    const candidate = await quantize({ form, leastBytes: LARGE_BYTES })
    if (candidate.onnx.length <= eight.onnx.length * (1 - WORTH)) candidates.push(candidate)
    else notes.push(...whyNot(form, candidate))
  }
  candidates.sort((left, right) => left.onnx.length - right.onnx.length)
  for (const candidate of candidates) {
    const { shown, differences } = await agreementOf({
      original: loaded.onnx,
      candidate: candidate.onnx,
      samples: samples.slice(0, SAMPLES),
      tolerance: toleranceFor('q8', tolerance === undefined ? {} : { cosine: tolerance }),
      classes: classes !== undefined && !synthetic,
      signal,
    })
    if (differences.length === 0 && shown) return noted(candidate, notes)
    notes.push(`${tablesIn(candidate)} were rejected: ${differences[0] ?? 'the samples exercise no output'}`)
  }
  return noted(eight, notes)
}

/** What became of each table that is not in 8 bits: a sentence each. */
export function tableNotes(layers: readonly LayerResult[]): string[] {
  return smallTables(layers).map(({ weight, to, bytesBefore, bytesAfter, sqnrDb }) => {
    const lost = sqnrDb === null ? 'nothing lost' : `signal to noise ${sqnrDb.toFixed(1)} dB`
    return `table "${safeName(weight)}": ${to}, ${binarySize(bytesBefore)} > ${binarySize(bytesAfter)}, ${lost}`
  })
}

/** Tables that are not in 8 bits. */
function smallTables(layers: readonly LayerResult[] = []): LayerResult[] {
  return layers.filter(({ op, to }) => op === 'Gather' && (to.endsWith('4') || to.includes('rank')))
}

function tablesIn({ quantized }: Chosen): string {
  const forms = new Set(smallTables(quantized?.layers).map(({ to }) => to))
  return `tables: ${[...forms].join(', ')}`
}

/** Reasons of tables, where none became smaller: of others the notes say what the model that is not taken has. */
function whyNot(form: TableForm, { quantized }: Chosen): string[] {
  const reasons = quantized?.notes.filter((note) => note.startsWith('table ')) ?? []
  const stayed = smallTables(quantized?.layers).length === 0
  return stayed && reasons.length > 0 ? reasons : [`tables: ${form} saves less than ${100 * WORTH} % of the model`]
}

function noted(chosen: Chosen, notes: readonly string[]): Chosen {
  return { ...chosen, notes: [...chosen.notes, ...notes] }
}
