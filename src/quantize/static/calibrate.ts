import { create } from '@bufbuild/protobuf'
import type { Tensor, TensorSpec, Tensors } from '../../core/tensors.ts'
import type { Engine, Session } from '../../engine/engine.ts'
import { OnnxError, safeName } from '../../onnx/errors.ts'
import { GraphView } from '../../onnx/graph.ts'
import { type ModelProto, ValueInfoProtoSchema } from '../../onnx/schema/onnx_pb.js'
import { loadGraph } from '../shared/run-graph.ts'
import { ChannelMeans } from './channel-means.ts'
import { Histogram } from './histogram.ts'
import { channelAxisOf } from './ops.ts'
import { hull, type Observed, type Range } from './ranges.ts'
import { entropyRange, percentileRange } from './thresholds.ts'

export type CalibrationMethod = 'minmax' | 'percentile' | 'entropy'

export interface CalibrateOptions {
  /** Runs the model in floats. */
  readonly engine: Engine
  /** Names of the values wanted: of float32, in the model's own graph. */
  readonly values: readonly string[]
  readonly method: CalibrationMethod
  /** Share of each value's elements that its range must hold; 99.999 if left out. For `percentile` alone. */
  readonly percentile?: number
  readonly signal: AbortSignal
  /** Called after each sample with how many there have been. */
  readonly progress?: (done: number) => void
}

const DEFAULT_PERCENTILE = 99.999

/**
 * Runs a model on samples and gives what each value lies between. Samples are read once, one after the other, and no
 * activations outlive their run: memory is that of one run and, but for `minmax`, 64 KiB a value.
 * @returns ranges by value, with means by channel of what layers read
 * @throws OnnxError bad_samples that do not fit or lead to NaN or infinity, or where there are none; missing_value;
 * bad_options
 */
export async function calibrate(
  model: ModelProto,
  samples: Iterable<Tensors> | AsyncIterable<Tensors>,
  options: CalibrateOptions,
): Promise<Map<string, Observed>> {
  const { engine, values, method, percentile = DEFAULT_PERCENTILE, signal, progress } = options
  if (!(percentile > 0 && percentile <= 100)) {
    throw new OnnxError('bad_options', `A percentile must be above 0 and at most 100, not ${percentile}.`)
  }
  const view = viewOf(model)
  const collectors = new Map(
    values.map((value) => [value, new Collector(value, method, percentile, channelAxisOf(value, view))]),
  )
  const session = await loadGraph(engine, withOutputs(view, values), signal)
  let count = 0
  try {
    checkValues(session, collectors)
    for await (const sample of samples) {
      signal.throwIfAborted()
      checkSample(session.signature.inputs, sample, count)
      await collect(session, sample, count, collectors, signal)
      count++
      progress?.(count)
    }
  } finally {
    session.dispose()
  }
  if (count === 0) throw new OnnxError('bad_samples', 'Calibration needs at least one sample.')
  return new Map([...collectors].map(([value, collector]) => [value, collector.observed()]))
}

function viewOf(model: ModelProto): GraphView {
  if (model.graph === undefined) throw new OnnxError('invalid_graph', 'The model has no graph.')
  return new GraphView(model, model.graph)
}

/** The model with more outputs; the weights are shared with it. */
function withOutputs(view: GraphView, values: readonly string[]): ModelProto {
  // Inputs are measured as the samples have them.
  const more = values.filter((value) => !view.isOutput(value) && !view.isInput(value))
  for (const value of more) {
    if (view.producer(value) === undefined) {
      throw new OnnxError('missing_value', `The model has no value "${safeName(value)}" to measure.`, { node: value })
    }
  }
  // A runtime that works out types by itself needs but the name.
  const output = [...view.graph.output, ...more.map((name) => create(ValueInfoProtoSchema, { name }))]
  return { ...view.model, graph: { ...view.graph, output } }
}

function checkValues({ signature }: Session, collectors: ReadonlyMap<string, Collector>): void {
  for (const { name, datatype } of [...signature.inputs, ...signature.outputs]) {
    if (datatype === 'FP32' || !collectors.has(name)) continue
    throw new OnnxError('bad_options', `Value "${safeName(name)}" is of ${datatype ?? 'no tensor type'}, not FP32.`, {
      node: name,
    })
  }
}

function checkSample(inputs: readonly TensorSpec[], sample: Tensors, index: number): void {
  const expected = `The model takes ${inputs.map(describe).join(', ')}.`
  const bad = (name: string, what: string): OnnxError =>
    new OnnxError('bad_samples', `Sample ${index + 1}: input "${safeName(name)}" ${what}. ${expected}`, { node: name })
  for (const spec of inputs) {
    const given = sample.get(spec.name)
    if (given === undefined) throw bad(spec.name, 'is missing')
    if (given.datatype !== spec.datatype) throw bad(spec.name, `is of ${given.datatype}`)
    if (!fits(given, spec)) throw bad(spec.name, `has shape [${given.shape.join(', ')}]`)
  }
  for (const name of sample.keys()) if (!inputs.some((spec) => spec.name === name)) throw bad(name, 'is not known')
}

function describe({ name, datatype, shape }: TensorSpec): string {
  return `"${safeName(name)}" ${datatype ?? 'of no tensor type'} [${shape.join(', ')}]`
}

/** Open dimensions take any size. A scalar has no dimensions, as has a tensor of unknown rank, which the run decides on. */
function fits({ shape }: Tensor, spec: TensorSpec): boolean {
  if (spec.shape.length === 0) return true
  return (
    shape.length === spec.shape.length &&
    spec.shape.every((size, axis) => typeof size === 'string' || size < 0 || size === shape[axis])
  )
}

async function collect(
  session: Session,
  sample: Tensors,
  index: number,
  collectors: ReadonlyMap<string, Collector>,
  signal: AbortSignal,
): Promise<void> {
  const fetched = session.signature.outputs.map(({ name }) => name).filter((name) => collectors.has(name))
  let results: Tensors
  try {
    results = await session.run(sample, { outputs: fetched, signal })
  } catch (error) {
    signal.throwIfAborted()
    throw new OnnxError('bad_samples', `The model could not run on sample ${index + 1}: ${(error as Error).message}`, {
      cause: error,
    })
  }
  for (const [name, collector] of collectors) {
    const value = results.get(name) ?? sample.get(name)
    if (value?.datatype === 'FP32') collector.add(value.data, value.shape, index)
  }
}

/** Watches one value. */
class Collector {
  readonly #value: string
  readonly #method: CalibrationMethod
  readonly #percentile: number
  readonly #histogram: Histogram | undefined
  readonly #means: ChannelMeans | undefined
  #range: Range | undefined

  constructor(value: string, method: CalibrationMethod, percentile: number, channelAxis: number | undefined) {
    this.#value = value
    this.#method = method
    this.#percentile = percentile
    this.#histogram = method === 'minmax' ? undefined : new Histogram()
    this.#means = channelAxis === undefined ? undefined : new ChannelMeans(channelAxis)
  }

  /** @throws OnnxError bad_samples where one is NaN or infinite */
  add(values: Float32Array, shape: readonly number[], sample: number): void {
    if (values.length === 0) return
    let [min, max, finite] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0]
    for (let index = 0; index < values.length; index++) {
      const value = values[index] as number
      if (value < min) min = value
      if (value > max) max = value
      // Nothing but NaN and the infinities gives anything but zero.
      finite += value * 0
    }
    if (finite !== 0) {
      throw new OnnxError(
        'bad_samples',
        `Sample ${sample + 1} leads to NaN or infinity in value "${safeName(this.#value)}". Check that the samples are ` +
          'prepared as the model expects, and that its weights are finite.',
        { node: this.#value },
      )
    }
    this.#range = hull(this.#range ?? { min, max }, { min, max })
    this.#histogram?.add(values, { min, max })
    this.#means?.add(values, shape)
  }

  observed(): Observed {
    const means = this.#means?.means()
    return { ...this.#chosen(), ...(means && { means }) }
  }

  #chosen(): Range {
    if (this.#range === undefined) return { min: 0, max: 0 }
    if (this.#histogram === undefined) return this.#range
    return this.#method === 'entropy'
      ? entropyRange(this.#histogram)
      : percentileRange(this.#histogram, this.#percentile)
  }
}
