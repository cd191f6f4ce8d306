import { OnnxError } from '../../onnx/errors.ts'
import { GraphView } from '../../onnx/graph.ts'
import type { Pass } from '../../onnx/pass.ts'
import type { ModelProto } from '../../onnx/schema/onnx_pb.js'
import type { QuantizeEnv, Sample } from '../types.ts'
import { type CalibrationMethod, calibrate } from './calibrate.ts'
import { type StaticOptions, staticInt8, staticValues } from './static.ts'

export interface Calibration {
  readonly method: CalibrationMethod
  readonly percentile?: number | undefined
}

/** Samples that ranges are read off at most: they settle after a few dozen. */
const MOST_SAMPLES = 128

/** Calibrates on the samples, and gives the pass that uses what was found. */
export async function staticPass(
  model: ModelProto,
  samples: readonly Sample[],
  options: Omit<StaticOptions, 'ranges'>,
  { method, percentile }: Calibration,
  { engine, signal, progress }: QuantizeEnv,
): Promise<Pass> {
  if (model.graph === undefined) throw new OnnxError('invalid_graph', 'The model has no graph.')
  const used = samples.slice(0, MOST_SAMPLES)
  const values = staticValues(new GraphView(model, model.graph), options)
  const ranges = await calibrate(
    model,
    used.map(({ inputs }) => inputs),
    {
      engine,
      values,
      method,
      signal,
      ...(percentile !== undefined && { percentile }),
      progress: (done) => progress?.('calibrating', done, used.length),
    },
  )
  return staticInt8({ ...options, ranges })
}
