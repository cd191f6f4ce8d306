import type { GraphView } from '../../onnx/graph.ts'
import type { Pass } from '../../onnx/pass.ts'
import type { WeightType } from '../shared/scales.ts'
import { nameOf, requireOpset } from '../shared/weights.ts'
import type { QuantizePassOptions } from '../types.ts'
import { layerOf } from './ops.ts'
import { planStatic } from './plan.ts'
import type { ActivationType, Observed } from './ranges.ts'
import { StaticWriter } from './writer.ts'

export interface StaticOptions extends QuantizePassOptions {
  /** What each value was seen to lie between, from `calibrate`. Layers whose values are missing are skipped. */
  readonly ranges: ReadonlyMap<string, Observed>
  /** Signed by default: the kernels that take unsigned activations are as fast with it, and it needs no zero point. */
  readonly weightType?: WeightType
  /** Unsigned by default. ONNX Runtime has fast kernels for signed ones on Arm alone; elsewhere they run as floats. */
  readonly activationType?: ActivationType
  /** A scale for each output channel of a weight; true if left out. */
  readonly perChannel?: boolean
  /** Activations with zero in the middle; false if left out. Weights always have it there. */
  readonly symmetric?: boolean
  /** Whether biases make up for the shift that rounding weights leads to; true if left out. */
  readonly correctBias?: boolean
  /** Weights of 7 bits, for processors that add up 8-bit products in 16 bits (x86 before VNNI). */
  readonly reduceRange?: boolean
}

type PlanningOptions = Pick<StaticOptions, 'select' | 'activationType' | 'symmetric'>

/** Version that brought a scale for each channel to QuantizeLinear and DequantizeLinear. */
const OPSET = 13

/** The values whose ranges `staticInt8` needs, for `calibrate`. Those of the model's own graph alone. */
export function staticValues(view: GraphView, options: PlanningOptions = {}): string[] {
  const plan = planStatic(view, { ...(options.select && { select: options.select }), keepCuts: keepsCuts(options) })
  return [...plan.groups.values()].flat()
}

function keepsCuts({ symmetric }: PlanningOptions): boolean {
  return symmetric === true
}

/**
 * Static 8-bit quantization of convolutions and products: pairs of QuantizeLinear and DequantizeLinear go around them
 * and what lies between, and weights become 8-bit, biases 32-bit integers. Every runtime can run the result as it
 * stands; ONNX Runtime makes QLinearConv and its like of it when it loads or converts it.
 *
 * Needs operator set 13: see `upgradeOpset`. Patches come in the graph's order, and each leaves a valid model.
 * @throws OnnxError unsupported for older operator sets; bad_weights
 */
export function staticInt8(options: StaticOptions): Pass {
  return {
    name: 'static-int8',
    *propose(view, { namer }) {
      if (view.outer !== undefined) {
        skipInner(view, options)
        return
      }
      const plan = planStatic(view, {
        ...options,
        known: (value) => options.ranges.has(value),
        keepCuts: keepsCuts(options),
      })
      if (plan.nodes.length === 0) return
      requireOpset(view, OPSET)
      const writer = new StaticWriter(view, plan, namer, options)
      for (const planned of plan.nodes) yield writer.patch(planned)
    },
  }
}

function skipInner(view: GraphView, { select, skip }: StaticOptions): void {
  for (const node of view.graph.node) {
    if (layerOf(node, view) === undefined || select?.(node, view) === false) continue
    skip?.({ node: nameOf(node), op: node.opType, reason: 'it is inside a subgraph, whose values cannot be measured' })
  }
}
