import { isOnnxError, OnnxError } from '../onnx/errors.ts'
import type { AppliedPatch, Pass } from '../onnx/pass.ts'
import { runPasses } from '../onnx/pass.ts'
import { dropDead } from '../onnx/passes/drop-dead.ts'
import type { ModelProto, NodeProto } from '../onnx/schema/onnx_pb.js'
import { validateModel } from '../onnx/validate.ts'
import { type Exclusion, excluder, unmatched } from './exclude.ts'
import { foldBias } from './fold-bias.ts'
import { toFp16 } from './fp16/fp16.ts'
import { chooseMethod, type Method } from './method.ts'
import { besideFloats, tieNotes } from './notes.ts'
import type { PrecisionPlan } from './plan/precision-levels.ts'
import { prepareModel } from './prepare.ts'
import { dynamicInt8 } from './products/dynamic.ts'
import { storedInt8 } from './products/stored-int8.ts'
import { Ties } from './products/ties.ts'
import { weightOnly4 } from './products/weight-only.ts'
import { prune } from './prune.ts'
import { quantizedOps } from './quantized-ops.ts'
import type { BlockSize } from './shared/blocks.ts'
import { nameOf } from './shared/weights.ts'
import { type Calibration, staticPass } from './static/preset.ts'
import { embeddings } from './tables/embeddings.ts'
import { tablePasses } from './tables/passes.ts'
import type { TableOptions } from './tables/tables.ts'
import type { Dtype, LayerResult, QuantizeEnv, QuantizePassOptions, Sample, SkippedLayer } from './types.ts'
import { unquantizedLayers } from './unquantized-layers.ts'

export interface QuantizeOptions {
  readonly dtype: Dtype
  readonly method?: Method | 'auto'
  /** Inputs to calibrate static quantization with. */
  readonly samples?: readonly Sample[]
  readonly perChannel?: boolean | undefined
  readonly symmetric?: boolean | undefined
  readonly reduceRange?: boolean
  readonly blockSize?: BlockSize | undefined
  /** Names of nodes (`*` stands for anything) and operators to leave as they are. */
  readonly exclude?: Exclusion
  readonly calibration?: Calibration
  /** Share of each weight that becomes zero, the smallest first. */
  readonly prune?: number | undefined
  /** For eight bits: how lookup tables are stored. In eight bits if left out. */
  readonly tables?: TableOptions | undefined
  /** Precision by node, in the place of one for all: for mixed precision. */
  readonly plan?: PrecisionPlan
  /** Applies this many patches and no more, to find the one at fault. */
  readonly stopAfter?: number
}

export interface Quantized {
  readonly model: ModelProto
  /** Undefined where the precision has no choice of method. */
  readonly method: Method | undefined
  readonly layers: readonly LayerResult[]
  readonly skipped: readonly SkippedLayer[]
  readonly applied: readonly AppliedPatch[]
  /** What was chosen and why, and what a person should know. */
  readonly notes: readonly string[]
}

/**
 * Brings a model into another precision. The given model stays as it is.
 * @throws OnnxError already_quantized, bad_options, bad_samples, bad_weights, unsupported, invalid_graph
 */
export async function quantizeModel(model: ModelProto, options: QuantizeOptions, env: QuantizeEnv): Promise<Quantized> {
  refuseQuantized(model, options.dtype)
  const prepared = await prepareModel(model, env)
  const quantized = await quantizePrepared(prepared.model, options, env)
  return {
    ...quantized,
    applied: [...prepared.applied, ...quantized.applied],
    notes: [...prepared.notes, ...quantized.notes],
  }
}

/**
 * `quantizeModel` for a model that `prepareModel` gave: many quantizations of one model prepare it once.
 *
 * A weight is quantized for all who read it or for none: where its floats would stay beside a copy, those that would
 * read the copy are left as they are. Which those are is known when all passes have run, so they run again.
 */
export async function quantizePrepared(
  model: ModelProto,
  options: QuantizeOptions,
  env: QuantizeEnv,
): Promise<Quantized> {
  const { stopAfter, ...whole } = options
  const left = new Map<string, SkippedLayer>()
  for (;;) {
    const quantized = await quantizeOnce(model, whole, left, env)
    const beside = besideFloats(quantized.model, quantized.layers.filter(isInteger))
    if (beside.length > 0) {
      for (const layer of beside) left.set(layer.node, layer)
      continue
    }
    return stopAfter === undefined ? quantized : quantizeOnce(model, options, left, env)
  }
}

/** @param left nodes that are left as they are, by name */
async function quantizeOnce(
  model: ModelProto,
  options: QuantizeOptions,
  left: ReadonlyMap<string, SkippedLayer>,
  env: QuantizeEnv,
): Promise<Quantized> {
  const layers: LayerResult[] = []
  const skipped: SkippedLayer[] = [...left.values()]
  const quantized = new Set<string>()
  const notes = options.exclude === undefined ? [] : unmatched(model, options.exclude)
  const excluded = excluder(options.exclude ?? { nodes: [], ops: [] })
  const record: Recorder = {
    record(layer) {
      layers.push(layer)
      quantized.add(layer.node)
    },
    // What is pruned keeps its precision, and may be left as it is for all that.
    prunes: (layer) => layers.push(layer),
    skip: (layer) => skipped.push(layer),
    select: (node) => !excluded(node) && !left.has(nameOf(node)),
    note: (note) => notes.push(note),
  }
  const method = methodFor(model, options, notes)
  const { signal } = env
  const { stopAfter } = options
  // A bias that is added apart would be quantized apart, before calibration sees what it adds up to.
  const folded = method === 'static' ? await runPasses(model, [foldBias], { signal }) : { model, applied: [] }
  const passes = await passesFor(folded.model, options, method, record, env)
  const result = await runPasses(folded.model, passes, {
    signal,
    validate: validateModel,
    ...(stopAfter !== undefined && { stopAfter }),
  })
  // A node that one pass could not take, another may have.
  const passedOver = skipped.filter(({ node }) => !quantized.has(node))
  return {
    model: result.model,
    method,
    layers,
    skipped: [...passedOver, ...unknownTo(folded.model, options, [...layers, ...passedOver], excluded)],
    applied: [...folded.applied, ...result.applied],
    notes: [...notes, ...tieNotes(layers.filter(isInteger))],
  }
}

/** Layers that no pass said anything of, where all weights were to be integers. */
function unknownTo(
  model: ModelProto,
  { dtype, plan }: QuantizeOptions,
  told: readonly { readonly node: string }[],
  excluded: (node: NodeProto) => boolean,
): SkippedLayer[] {
  if (plan || dtype === 'fp32' || dtype === 'fp16') return []
  return unquantizedLayers(model, new Set(told.map(({ node }) => node)), excluded)
}

/** Whether a layer's weight is in whole numbers now: not in halves, and not only pruned. */
function isInteger({ to }: LayerResult): boolean {
  return /^u?int/.test(to)
}

/** @throws OnnxError already_quantized */
export function refuseQuantized(model: ModelProto, dtype: Dtype): void {
  const found = quantizedOps(model)
  if (dtype === 'fp32' || found.length === 0) return
  throw new OnnxError(
    'already_quantized',
    `The model is already quantized (${found.slice(0, 3).join(', ')}). Push it unchanged with --dtype fp32, or start from the 32-bit original.`,
  )
}

type Recorder = Required<Pick<QuantizePassOptions, 'record' | 'skip'>> & {
  readonly prunes: (layer: LayerResult) => void
  readonly select: (node: NodeProto) => boolean
  readonly note: (note: string) => void
}

function methodFor(model: ModelProto, options: QuantizeOptions, notes: string[]): Method | undefined {
  if (options.plan || !['q8', 'int8', 'uint8'].includes(options.dtype)) return undefined
  const { method = 'auto', samples = [] } = options
  if (method === 'static' && samples.length === 0) {
    throw new OnnxError(
      'bad_options',
      'Static quantization needs samples for calibration. Give samples, or use another method.',
    )
  }
  if (method !== 'auto') return method
  const { method: chosen, why } = chooseMethod(model, samples.length > 0)
  notes.push(why)
  return chosen
}

async function passesFor(
  model: ModelProto,
  options: QuantizeOptions,
  method: Method | undefined,
  { record, skip, prunes, select, note }: Recorder,
  env: QuantizeEnv,
): Promise<Pass[]> {
  const { dtype, perChannel, symmetric, reduceRange = false, blockSize, plan } = options
  const weightType = dtype === 'uint8' ? 'uint8' : 'int8'
  const eight = {
    record,
    skip,
    weightType,
    reduceRange,
    ...(perChannel !== undefined && { perChannel }),
    ...(symmetric !== undefined && { symmetric }),
  } as const
  const four = { record, skip, ...(blockSize && { blockSize }), ...(symmetric !== undefined && { symmetric }) }
  const ties = new Ties()
  const before = options.prune ? [prune({ record: prunes, skip, sparsity: options.prune, select })] : []
  if (plan) return [...before, ...mixed(plan, select, { ...eight, ties }, { ...four, ties }), dropDead]
  switch (dtype) {
    case 'fp32':
      return [...before, dropDead]
    case 'fp16':
      return [...before, toFp16({ record, skip, select }), dropDead]
    case 'q4':
    case 'q4f16': {
      const blocks = [
        weightOnly4({ ...four, ties, select }),
        embeddings({ ...four, ties, bits: 4, select }),
        // Convolutions and recurrent layers have no 4-bit form that runtimes take.
        storedInt8({ ...eight, select: (node) => select(node) && !isProduct(node) }),
      ]
      return [...before, ...blocks, ...(dtype === 'q4f16' ? [toFp16({ record, skip, select })] : []), dropDead]
    }
    default:
      return [...before, ...(await eightBits(model, method, { ...eight, ties, select, note }, options, env)), dropDead]
  }
}

interface EightBits extends Omit<Recorder, 'prunes'> {
  readonly weightType: 'int8' | 'uint8'
  readonly reduceRange: boolean
  readonly perChannel?: boolean
  readonly symmetric?: boolean
  readonly ties: Ties
}

async function eightBits(
  model: ModelProto,
  method: Method | undefined,
  options: EightBits,
  { samples = [], calibration = { method: 'percentile' }, tables, blockSize }: QuantizeOptions,
  env: QuantizeEnv,
): Promise<Pass[]> {
  const { looked, factored } = await tablePasses(model, { ...options, blockSize }, tables, env)
  if (method === 'weights') return [...looked, storedInt8(options), ...factored]
  if (method === 'static') {
    // There it would be about activations: weights are symmetric anyway, and symmetric activations do not fuse.
    const { symmetric: _, ...others } = options
    const calibrated = await staticPass(model, samples, others, calibration, env)
    return [...looked, calibrated, storedInt8(notProducts(options)), ...factored]
  }
  return [dynamicInt8(options), ...looked, storedInt8(notProducts(options)), ...factored]
}

/** A node has the precision that the plan names, and floats where it names none. */
function mixed(
  plan: PrecisionPlan,
  select: (node: NodeProto) => boolean,
  eight: Omit<EightBits, 'select' | 'note'>,
  four: QuantizePassOptions & { readonly ties: Ties },
): Pass[] {
  const at = (precision: string) => (node: NodeProto) => plan.get(node.name) === precision && select(node)
  return [
    weightOnly4({ ...four, select: at('q4') }),
    embeddings({ ...four, bits: 4, select: at('q4') }),
    dynamicInt8({ ...eight, select: at('int8') }),
    embeddings({ ...eight, bits: 8, select: at('int8') }),
    storedInt8(notProducts({ ...eight, select: at('int8') })),
  ]
}

/** Products that dynamic quantization left have a reason to be left. */
function notProducts<T extends QuantizePassOptions>(options: T): T {
  const { select } = options
  return { ...options, select: (node, view) => !isProduct(node) && select?.(node, view) !== false }
}

function isProduct({ opType }: NodeProto): boolean {
  return opType === 'MatMul' || opType === 'Gemm'
}

/** Whether an error means that this precision is not for this model, and another may be. */
export function isUnsuitable(error: unknown): boolean {
  return isOnnxError(error, 'unsupported') || isOnnxError(error, 'already_quantized')
}
