import type { GraphView } from '../../onnx/graph.ts'
import { sorted } from '../../onnx/pass.ts'
import type { NodeProto } from '../../onnx/schema/onnx_pb.js'
import { nameOf } from '../shared/weights.ts'
import type { QuantizePassOptions } from '../types.ts'
import { arithmeticInputs, isCut, isPreserving, type Layer, layerOf } from './ops.ts'

/** A node that is to run on eight bits. */
export interface PlannedNode {
  readonly node: NodeProto
  readonly layer: Layer | undefined
  /** The ReLU or Clip behind it that quantizing its output makes up for. */
  readonly cut: NodeProto | undefined
  /** Positions of inputs that hold activations or, in arithmetic, constants beside them. */
  readonly inputs: readonly number[]
  /** Outputs that are quantized: of the cut where there is one. */
  readonly outputs: readonly string[]
}

export interface StaticPlan {
  /** In an order in which each comes after those that it reads from. */
  readonly nodes: readonly PlannedNode[]
  /** The name of the value whose scale a quantized value shares; its own where it has one of its own. */
  scaleOf(value: string): string
  /** Quantized values by the name of the one whose scale they share. */
  readonly groups: ReadonlyMap<string, readonly string[]>
  /** Values that a planned node gives, in eight bits, so that everyone who reads them gets those. */
  readonly produced: ReadonlySet<string>
}

export interface StaticPlanOptions extends QuantizePassOptions {
  /** Whether what a value lies between is known; all of them if left out. */
  readonly known?: (value: string) => boolean
  /** Whether ReLUs stay, because zero is not the lowest level. */
  readonly keepCuts: boolean
}

/**
 * Which nodes of a graph run on eight bits, and which values are quantized for them.
 *
 * Convolutions and products with constant weights do. So does what lies between two of them and has a kernel for it;
 * what comes behind the last or before the first runs on floats, as post-processing needs. Operators that only move
 * numbers carry eight bits on wherever they get them. It is the layout that ONNX Runtime's QDQ transformer looks for
 * (onnxruntime/core/optimizer/qdq_transformer/selectors_actions/qdq_selectors.cc).
 */
export function planStatic(view: GraphView, options: StaticPlanOptions): StaticPlan {
  const known = options.known ?? (() => true)
  const order = sorted(view.graph.node)
  const layers = new Map<NodeProto, Layer>()
  for (const node of order) {
    const layer = layerOf(node, view)
    if (layer === undefined || options.select?.(node, view) === false) continue
    const reason = typeof layer === 'string' ? layer : unmeasured(layer, cutOf(node, view, options), known)
    if (reason === undefined) layers.set(node, layer as Layer)
    else options.skip?.({ node: nameOf(node), op: node.opType, reason })
  }
  const between = new Between(view, order, layers, options, known)
  return between.plan()
}

function unmeasured(layer: Layer, cut: NodeProto | undefined, known: (value: string) => boolean): string | undefined {
  const output = (cut ?? layer.node).output[0] ?? ''
  const missing = [layer.node.input[0] ?? '', ...(layer.quantizedOutput ? [output] : [])].find((value) => !known(value))
  return missing === undefined ? undefined : `the range of "${missing}" was not measured`
}

/** The only reader of a node's output, if that is a ReLU or a Clip from zero. */
function cutOf(node: NodeProto, view: GraphView, { keepCuts }: StaticPlanOptions): NodeProto | undefined {
  const output = node.output[0] ?? ''
  const [use, ...others] = view.uses(output)
  if (keepCuts || use === undefined || others.length > 0 || use.index !== 0 || view.isOutput(output)) return undefined
  return isCut(use.node, view) ? use.node : undefined
}

/** Finds what lies between layers, from both sides. */
class Between {
  readonly #view: GraphView
  readonly #order: readonly NodeProto[]
  readonly #layers: ReadonlyMap<NodeProto, Layer>
  readonly #options: StaticPlanOptions
  readonly #known: (value: string) => boolean
  /** Values that eight bits lead to. */
  readonly #reached = new Set<string>()
  /** Values that lead to a layer through operators that run on eight bits. */
  readonly #needed = new Set<string>()

  constructor(
    view: GraphView,
    order: readonly NodeProto[],
    layers: ReadonlyMap<NodeProto, Layer>,
    options: StaticPlanOptions,
    known: (value: string) => boolean,
  ) {
    this.#view = view
    this.#order = order
    this.#layers = layers
    this.#options = options
    this.#known = known
    for (const { node } of layers.values()) {
      const [input, output] = [node.input[0] ?? '', this.#end(node)]
      this.#reached.add(input)
      this.#needed.add(input)
      if (known(output)) this.#reached.add(output)
    }
    for (const node of order) {
      if (!layers.has(node) && this.#available(node)) for (const value of this.#ends(node)) this.#reached.add(value)
    }
    for (const node of order.toReversed()) {
      if (layers.has(node) || !this.#available(node)) continue
      if (!this.#ends(node).some((value) => this.#needed.has(value))) continue
      for (const index of this.#dataInputs(node)) this.#needed.add(node.input[index] ?? '')
    }
  }

  plan(): StaticPlan {
    const nodes: PlannedNode[] = []
    const produced = new Set<string>()
    const shared = new Map<string, string>()
    const scaleOf = (value: string): string => {
      let at = value
      for (let next = shared.get(at); next !== undefined; next = shared.get(at)) at = next
      return at
    }
    const values = new Set<string>()
    for (const node of this.#order) {
      const layer = this.#layers.get(node)
      const ends = this.#ends(node)
      const needed = ends.some((value) => this.#needed.has(value))
      const inputs = layer ? [0] : this.#dataInputs(node)
      const preserving = layer === undefined && isPreserving(node)
      if (layer === undefined) {
        const carriesOn = preserving && produced.has(node.input[0] ?? '')
        if (!(this.#available(node) && (needed || carriesOn))) continue
      }
      const outputs = layer === undefined || layer.quantizedOutput || needed ? ends : []
      const cut = outputs.length > 0 ? this.#cut(node) : undefined
      nodes.push({ node, layer, cut, inputs, outputs })
      for (const value of outputs) values.add(value)
      for (const value of outputs) produced.add(value)
      for (const index of inputs) {
        const value = node.input[index] ?? ''
        if (this.#view.constant(value) === undefined) values.add(value)
      }
      if (preserving) {
        for (const value of outputs)
          if (scaleOf(value) !== scaleOf(node.input[0] ?? '')) shared.set(scaleOf(value), scaleOf(node.input[0] ?? ''))
      }
    }
    const groups = new Map<string, string[]>()
    for (const value of values) groups.set(scaleOf(value), [...(groups.get(scaleOf(value)) ?? []), value])
    return { nodes, scaleOf, groups, produced }
  }

  /** Whether eight bits come in at every input that holds activations. */
  #available(node: NodeProto): boolean {
    const inputs = this.#dataInputs(node).map((index) => node.input[index] ?? '')
    if (!inputs.some((value) => this.#reached.has(value))) return false
    const constants = node.opType === 'Add' || node.opType === 'Mul'
    return inputs.every((value) => this.#reached.has(value) || (constants && this.#view.constant(value) !== undefined))
  }

  #dataInputs(node: NodeProto): number[] {
    if (isPreserving(node)) return [0]
    const inputs = arithmeticInputs(node)
    return inputs !== undefined && this.#known(this.#end(node)) ? inputs.map((_, index) => index) : []
  }

  #cut(node: NodeProto): NodeProto | undefined {
    return isPreserving(node) ? undefined : cutOf(node, this.#view, this.#options)
  }

  #end(node: NodeProto): string {
    return (this.#cut(node) ?? node).output[0] ?? ''
  }

  /** What comes out at the end of a node and its cut. */
  #ends(node: NodeProto): readonly string[] {
    return isPreserving(node) ? node.output.filter((value) => value !== '') : [this.#end(node)]
  }
}
