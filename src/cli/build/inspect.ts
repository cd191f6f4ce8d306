import { LIMITS } from '../../core/limits.ts'
import type { TensorSpec } from '../../core/tensors.ts'
import { chooseMethod } from '../../quantize/method.ts'
import { type ModelSummary, summarizeModel, type WeightKind } from '../../quantize/model-summary.ts'
import { quantizedOps } from '../../quantize/quantized-ops.ts'
import type { Dtype } from '../../quantize/types.ts'
import { binarySize, printableLines, table } from '../terminal/format.ts'
import { type LoadOptions, loadModel } from './load.ts'

export interface Inspection {
  readonly source: string
  readonly licence?: string
  readonly bytes: number
  readonly inputs: readonly TensorSpec[]
  readonly outputs: readonly TensorSpec[]
  readonly survey: ModelSummary
  /** Quantizing operators that it has already. */
  readonly quantized: readonly string[]
  /** Estimated bytes by precision, and of a loaded session at the edge. */
  readonly estimates: readonly {
    readonly dtype: Dtype
    readonly bytes: number
    readonly loaded: number
    readonly edge: boolean
  }[]
  /** What quantizing in 8 bits would do without samples. */
  readonly method: string
}

/** @throws what `loadModel` throws */
export async function inspectModel(spec: string, options: LoadOptions): Promise<Inspection> {
  const { source, model, bytes: size, signature } = await loadModel(spec, options)
  const survey = summarizeModel(model)
  const quantized = quantizedOps(model)
  return {
    source: source.label,
    ...(source.licence !== undefined && { licence: source.licence }),
    bytes: size,
    inputs: signature.inputs,
    outputs: signature.outputs,
    survey,
    quantized,
    estimates: quantized.length > 0 ? [] : estimatesOf(survey, size),
    method: chooseMethod(model, false).why,
  }
}

/** Bytes of a weight's element, scales included, as the presets store it. */
const ELEMENT: Readonly<Record<'fp32' | 'fp16' | 'q8' | 'q4', Readonly<Record<WeightKind, number>>>> = {
  fp32: { convolution: 4, product: 4, table: 4, recurrent: 4, other: 4 },
  fp16: { convolution: 2, product: 2, table: 2, recurrent: 2, other: 2 },
  q8: { convolution: 1.02, product: 1.01, table: 1.02, recurrent: 1, other: 4 },
  q4: { convolution: 1.02, product: 0.625, table: 0.625, recurrent: 1, other: 4 },
}

/** A session uses weights in ORT format where they lie, plus structures: see `sessionFootprint`. */
const LOADED = 1.25

function estimatesOf({ weights }: ModelSummary, size: number): Inspection['estimates'] {
  const rest = size - weights.reduce((sum, { floats }) => sum + 4 * floats, 0)
  return (['fp32', 'fp16', 'q8', 'q4'] as const).map((dtype) => {
    const total = weights.reduce((sum, { kind, floats }) => sum + ELEMENT[dtype][kind] * floats, Math.max(0, rest))
    const loaded = total * LOADED
    return { dtype, bytes: Math.round(total), loaded: Math.round(loaded), edge: loaded <= LIMITS.sessionBudgetBytes }
  })
}

const MOST_OPERATORS = 12

export function describeInspection(inspection: Inspection): string {
  const { survey, estimates, quantized } = inspection
  const operators = survey.operators.slice(0, MOST_OPERATORS).map(({ op, count }) => `${op} ${count}`)
  const more = survey.operators.length - operators.length
  const lines = [
    `${inspection.source}: ${binarySize(inspection.bytes)}`,
    `  made by ${survey.producer || 'an unnamed producer'}, IR ${survey.irVersion}, operator sets ${opsets(survey)}`,
    `  licence: ${inspection.licence ?? 'not stated'}`,
    '',
    table([
      ['', 'name', 'datatype', 'shape'],
      ...inspection.inputs.map((spec) => ['in', ...row(spec)]),
      ...inspection.outputs.map((spec) => ['out', ...row(spec)]),
    ]),
    '',
    `${survey.nodes} nodes in ${survey.graphs} graph${survey.graphs === 1 ? '' : 's'}: ${operators.join(', ')}${more > 0 ? `, ${more} more` : ''}`,
    '',
    table([
      ['weights', 'tensors', 'fp32'],
      ...survey.weights.map(({ kind, tensors, floats }) => [NAMES[kind], String(tensors), binarySize(4 * floats)]),
      ...Object.entries(survey.otherBytes).map(([type, size]) => [type, '', binarySize(size)]),
    ]),
  ]
  if (quantized.length > 0) {
    lines.push('', `Already quantized: ${quantized.slice(0, 5).join(', ')}. "verge push" stores the weights unchanged.`)
  } else {
    lines.push(
      '',
      table([
        ['precision', 'size, about', 'loaded, about', 'at the edge'],
        ...estimates.map(({ dtype, bytes: size, loaded, edge }) => [
          dtype,
          binarySize(size),
          binarySize(loaded),
          edge ? 'fits' : `too large: ${binarySize(LIMITS.sessionBudgetBytes)} are there`,
        ]),
      ]),
      '',
      `Default 8-bit method: ${inspection.method}.`,
    )
  }
  return printableLines(lines.join('\n'))
}

const NAMES: Readonly<Record<WeightKind, string>> = {
  convolution: 'convolutions',
  product: 'matrix products',
  table: 'tables',
  recurrent: 'recurrent layers',
  other: 'other',
}

function opsets({ opsets: versions }: ModelSummary): string {
  return Object.entries(versions)
    .map(([domain, version]) => `${domain} ${version}`)
    .join(', ')
}

function row({ name, datatype, shape }: TensorSpec): string[] {
  return [name, datatype ?? 'not a tensor', `[${shape.join(', ')}]`]
}
