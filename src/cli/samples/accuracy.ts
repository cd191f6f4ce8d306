import type { Tensors } from '../../core/tensors.ts'
import type { Engine, Session } from '../../engine/engine.ts'
import type { Sample } from '../../quantize/types.ts'
import { memorySource, sha256 } from '../pack/bytes.ts'
import { UsageError } from '../terminal/command-line.ts'
import { flattened, likeness, relativeNoise, topClass } from './answers.ts'
import { randomNumbers } from './items.ts'

/**
 * The metric: correct answers, answers with the class of the original's answer, or the mean cosine similarity to them.
 */
export type Metric = 'accuracy' | 'agreement' | 'cosine'

/** The metric that samples and model allow. Partly labelled samples count as unlabelled. */
function metricFor(samples: readonly Sample[], classifies: boolean): Metric {
  if (samples.length > 0 && samples.every(({ label }) => label !== undefined)) return 'accuracy'
  return classifies ? 'agreement' : 'cosine'
}

export interface EvaluatorOptions {
  readonly engine: Engine
  /** The model that the others are compared with, as ONNX. */
  readonly original: Uint8Array
  readonly samples: readonly Sample[]
  /** How many classes the model has; undefined where it does not classify. */
  readonly classes?: number
  readonly metric?: Metric
  readonly signal: AbortSignal
  readonly progress?: (done: number, total: number) => void
}

export interface Evaluation {
  readonly metric: Metric
  /** 0 to 1. */
  readonly score: number
  /** The original's: 1 where it is what answers are compared with. */
  readonly baseline: number
  readonly count: number
  /** Samples that the original has right and this model has not, and the other way round; other than the cosine's. */
  readonly lost: number
  readonly gained: number
}

export interface Evaluator {
  readonly metric: Metric
  readonly baseline: number
  readonly count: number
  /** @throws what loading and running throw */
  evaluate(model: Uint8Array): Promise<Evaluation>
  /** Mean power of the outputs' error over that of the original's outputs, on the first samples: for sensitivity. */
  error(model: Uint8Array): Promise<number>
}

/** Samples on which `error` is measured: it is continuous, and a few say enough. */
const ERROR_SAMPLES = 16
/** The original's outputs that are kept for comparing: 64 Mi floats. */
const MAX_KEPT_VALUES = 64 * 1024 * 1024

/**
 * Runs the original once on the samples, and compares other models' answers with its.
 * @throws UsageError for samples with a label that the model does not have, or more output than can be kept
 */
export async function createEvaluator(options: EvaluatorOptions): Promise<Evaluator> {
  const { engine, original, samples, classes, signal, progress } = options
  if (samples.length === 0) throw new UsageError('bad samples: there are no samples.')
  const metric = options.metric ?? metricFor(samples, classes !== undefined)
  const kept = (index: number): boolean => metric === 'cosine' || index < ERROR_SAMPLES
  const reference: { readonly top: number; readonly values?: Float32Array }[] = []
  let values = 0
  await answersOf(engine, original, samples, signal, (outputs, index) => {
    progress?.(index + 1, samples.length)
    const flat = kept(index) ? flattened(outputs) : undefined
    values += flat?.length ?? 0
    if (values > MAX_KEPT_VALUES) {
      throw new UsageError(
        `bad samples: the outputs of ${index + 1} samples are too large to compare. Use fewer samples.`,
      )
    }
    reference.push({ top: topClass(outputs, classes), ...(flat && { values: flat }) })
  })
  const right = samples.map(({ label }, index) => metric !== 'accuracy' || reference[index]?.top === label)
  const baseline = metric === 'cosine' ? 1 : right.filter(Boolean).length / samples.length

  return {
    metric,
    baseline,
    count: samples.length,
    async evaluate(model) {
      let score = 0
      let lost = 0
      let gained = 0
      await answersOf(engine, model, samples, signal, (outputs, index) => {
        const { top, values: wanted } = reference[index] as (typeof reference)[number]
        if (metric === 'cosine') {
          score += likeness(wanted as Float32Array, flattened(outputs))
          return
        }
        const good = topClass(outputs, classes) === (metric === 'accuracy' ? samples[index]?.label : top)
        if (good) score++
        if (good && !right[index]) gained++
        if (!good && right[index]) lost++
      })
      return { metric, score: score / samples.length, baseline, count: samples.length, lost, gained }
    },
    async error(model) {
      const few = samples.slice(0, ERROR_SAMPLES)
      let sum = 0
      await answersOf(engine, model, few, signal, (outputs, index) => {
        sum += relativeNoise(reference[index]?.values as Float32Array, flattened(outputs))
      })
      return sum / few.length
    },
  }
}

async function answersOf(
  engine: Engine,
  model: Uint8Array,
  samples: readonly Sample[],
  signal: AbortSignal,
  take: (outputs: Tensors, index: number) => void,
): Promise<void> {
  const artifact = { sha256: sha256(model), format: 'onnx' as const, bytes: model.length }
  const session: Session = await engine.load(artifact, memorySource(model), { signal })
  try {
    // Values that are no tensors cannot be asked for, and are not compared.
    const outputs = session.signature.outputs.flatMap(({ name, datatype }) => (datatype === null ? [] : [name]))
    for (const [index, { inputs }] of samples.entries()) {
      signal.throwIfAborted()
      take(await session.run(inputs, { signal, outputs }), index)
    }
  } finally {
    session.dispose()
  }
}

/** Top-1 accuracy where all samples are labelled, else agreement with the original. See `createEvaluator`. */
export async function measureAccuracy(
  model: Uint8Array,
  options: Omit<EvaluatorOptions, 'progress'>,
): Promise<Evaluation> {
  return (await createEvaluator(options)).evaluate(model)
}

/** Two parts: samples to choose by, and samples held back to confirm the choice. Neither is empty. */
export function splitSamples(
  samples: readonly Sample[],
  { share = 0.3, seed = 1 }: { readonly share?: number; readonly seed?: number } = {},
): { readonly choose: readonly Sample[]; readonly confirm: readonly Sample[] } {
  if (samples.length < 2)
    throw new UsageError('bad samples: at least two samples are needed, because some are held back.')
  const random = randomNumbers(seed)
  const order = samples.map((sample) => ({ sample, at: random() })).sort((left, right) => left.at - right.at)
  const shuffled = order.map(({ sample }) => sample)
  const back = Math.min(samples.length - 1, Math.max(1, Math.round(samples.length * share)))
  return { choose: shuffled.slice(back), confirm: shuffled.slice(0, back) }
}

/** The 95 % quantile of the standard normal distribution, two-sided. */
const Z = 1.959964

/**
 * How far a measured drop can be trusted, in a sentence; undefined where samples are many enough. Both models saw the
 * same samples, so only those on which they differ count: the interval is that of a difference of paired proportions
 * with one sample more on each side (A. Agresti and Y. Min, Simple improved confidence intervals for comparing matched
 * proportions, 2005).
 */
export function confidenceNote(evaluation: Evaluation, maxDrop: number): string | undefined {
  const { metric, count } = evaluation
  if (metric === 'cosine') return undefined
  if (maxDrop > 0 && 100 / count > maxDrop) {
    return `With ${count} samples, one answer is ${(100 / count).toFixed(2)} points, more than the ${maxDrop} of --max-drop. Give at least ${Math.ceil(100 / maxDrop)} samples.`
  }
  const [least, most] = dropInterval(evaluation)
  if (most <= maxDrop) return undefined
  return `On all data the drop may be ${least.toFixed(2)} to ${most.toFixed(2)} points (95 %, ${count} samples).`
}

/** 95 % interval of the drop in points, for all data that the samples were drawn from. */
export function dropInterval({ lost, gained, count }: Evaluation): readonly [number, number] {
  const n = count + 2
  const [b, c] = [lost + 0.5, gained + 0.5]
  const drop = (b - c) / n
  const half = (Z * Math.sqrt(b + c - (b - c) ** 2 / n)) / n
  return [100 * (drop - half), 100 * (drop + half)]
}
