import { DataType, dimsOf, makeTensor } from '../../onnx/data.ts'
import type { GraphView, Namer } from '../../onnx/graph.ts'
import { makeAttribute, makeNode } from '../../onnx/make.ts'
import type { Patch } from '../../onnx/pass.ts'
import type { NodeProto, TensorProto } from '../../onnx/schema/onnx_pb.js'
import type { Int8Matrix } from '../shared/scales.ts'
import { layerResult, nameOf, Readers } from '../shared/weights.ts'
import type { PlannedNode, StaticPlan } from './plan.ts'
import { type ActivationScale, activationScale, hull } from './ranges.ts'
import type { StaticOptions } from './static.ts'
import { biasScale, bytesTensor, quantizeConstant, quantizeLayer } from './weights.ts'

/** A scale and a zero point, by the names of their initializers. */
interface Scale extends ActivationScale {
  readonly names: readonly [scale: string, zeroPoint: string]
}

/** Nodes and initializers as one patch puts them in. */
interface Draft {
  readonly nodes: NodeProto[]
  readonly initializers: TensorProto[]
  readonly removed: string[]
}

/** Puts a plan into nodes: QuantizeLinear and DequantizeLinear around those that are to run on eight bits. */
export class StaticWriter {
  readonly #view: GraphView
  readonly #plan: StaticPlan
  readonly #namer: Namer
  readonly #options: StaticOptions
  readonly #readers: Readers
  readonly #scales = new Map<string, Scale>()
  /** Dequantized copies of values that others go on reading in float, by the value. */
  readonly #copies = new Map<string, string>()
  /** What constants became, for their next reader. */
  readonly #constants = new Map<TensorProto, { readonly scales: Float32Array; readonly name: string }>()

  constructor(view: GraphView, plan: StaticPlan, namer: Namer, options: StaticOptions) {
    this.#view = view
    this.#plan = plan
    this.#namer = namer
    this.#options = options
    this.#readers = new Readers(view, new Set())
  }

  patch(planned: PlannedNode): Patch {
    const { node, layer, cut, inputs, outputs } = planned
    const draft: Draft = { nodes: [], initializers: [], removed: [] }
    const input = [...node.input]
    for (const index of inputs) {
      const value = node.input[index] ?? ''
      const constant = this.#view.constant(value)
      input[index] = constant ? this.#constant(constant, node, draft) : this.#incoming(value, draft)
    }
    if (layer !== undefined) {
      const [weight, bias] = this.#layer(planned, draft)
      input[1] = weight
      if (bias !== undefined) input[2] = bias
    }
    const renamed = new Map(outputs.map((value) => [value, this.#namer.fresh(`${value}_float`)]))
    const changed = { ...node, input, output: node.output.map((value) => renamed.get(value) ?? value) }
    // The cut is made up for by the quantization: its output's name goes over to what is dequantized.
    draft.nodes.push(cut === undefined ? changed : { ...changed, output: [...renamed.values()] })
    for (const [value, float] of renamed) this.#pair(float, value, this.#scale(value, draft), draft)
    return {
      what: `quantize ${node.opType} ${nameOf(node)}`,
      remove: cut === undefined ? [node] : [node, cut],
      add:
        layer?.node.opType === 'Gemm'
          ? draft.nodes.map((each) => (each.opType === 'Gemm' ? plainGemm(each) : each))
          : draft.nodes,
      initializers: draft.initializers,
      removeInitializers: draft.removed,
    }
  }

  /** What a planned node reads instead of a value: the value itself if it comes in eight bits, else a copy that does. */
  #incoming(value: string, draft: Draft): string {
    if (this.#plan.produced.has(value)) return value
    const known = this.#copies.get(value)
    if (known !== undefined) return known
    const copy = this.#namer.fresh(`${value}_rounded`)
    this.#copies.set(value, copy)
    this.#pair(value, copy, this.#scale(value, draft), draft)
    return copy
  }

  /** Quantizes one value and dequantizes it to another. */
  #pair(from: string, to: string, { names }: Scale, { nodes }: Draft): void {
    const quantized = this.#namer.fresh(`${to}_q`)
    nodes.push(
      makeNode({
        op: 'QuantizeLinear',
        inputs: [from, ...names],
        outputs: [quantized],
        name: this.#namer.fresh(`${to}_Q`),
      }),
      this.#dequantize(quantized, to, names),
    )
  }

  #dequantize(from: string, to: string, scale: readonly string[], axis?: number): NodeProto {
    return makeNode({
      op: 'DequantizeLinear',
      inputs: [from, ...scale],
      outputs: [to],
      name: this.#namer.fresh(`${to}_DQ`),
      ...(axis !== undefined && { attributes: { axis: { int: axis } } }),
    })
  }

  #scale(value: string, { initializers }: Draft): Scale {
    const group = this.#plan.scaleOf(value)
    const known = this.#scales.get(group)
    if (known !== undefined) return known
    const ranges = (this.#plan.groups.get(group) ?? [value]).flatMap((member) => this.#options.ranges.get(member) ?? [])
    const range = ranges.reduce(hull, { min: 0, max: 0 })
    const { activationType = 'uint8', symmetric = false } = this.#options
    const { scale, zeroPoint } = activationScale(range, activationType, symmetric)
    const names = [this.#namer.fresh(`${group}_scale`), this.#namer.fresh(`${group}_zero`)] as const
    const zeros = activationType === 'uint8' ? Uint8Array.of(zeroPoint) : Int8Array.of(zeroPoint)
    initializers.push(
      makeTensor(names[0], DataType.FLOAT, [], Float32Array.of(scale)),
      bytesTensor(names[1], [], zeros),
    )
    const result = { scale, zeroPoint, names }
    this.#scales.set(group, result)
    return result
  }

  /** @returns names of the dequantized weight and bias */
  #layer({ node, layer }: PlannedNode, draft: Draft): [weight: string, bias: string | undefined] {
    if (layer === undefined) throw new TypeError('The node is no layer.')
    const { weightType = 'int8', perChannel = true, reduceRange = false, correctBias = true } = this.#options
    const input = node.input[0] ?? ''
    const { scale } = this.#scale(input, draft)
    const means = correctBias ? this.#options.ranges.get(input)?.means : undefined
    const { weight, bias } = quantizeLayer(layer, scale, { weightType, perChannel, reduceRange, means })
    const { data, scales, zeroPoints } = weight
    const weightName = this.#stored(layer.weight, weight, perChannel ? layer.axis : undefined, draft)
    draft.removed.push(...this.#readers.replace(layer.weight))
    const bytesAfter = data.byteLength + scales.byteLength + zeroPoints.byteLength
    this.#options.record?.(
      layerResult(node, layer.weight, { to: weightType, elements: data.length, bytesAfter, loss: weight }),
    )
    if (bias === undefined) return [weightName, undefined]
    if (layer.bias) draft.removed.push(...this.#readers.replace(layer.bias))
    return [weightName, this.#bias(layer.bias?.name ?? `${layer.weight.name}_bias`, bias, scales, scale, draft)]
  }

  #bias(base: string, bias: Int32Array, scales: Float32Array, inputScale: number, draft: Draft): string {
    const [name, quantized] = [this.#namer.fresh(`${base}_rounded`), this.#namer.fresh(`${base}_q`)]
    const scaleName = this.#namer.fresh(`${base}_scale`)
    const dims = scales.length === 1 ? [] : [scales.length]
    draft.initializers.push(
      makeTensor(quantized, DataType.INT32, [bias.length], bias),
      makeTensor(
        scaleName,
        DataType.FLOAT,
        dims,
        scales.map((scale) => biasScale(scale, inputScale)),
      ),
    )
    draft.nodes.push(this.#dequantize(quantized, name, [scaleName], scales.length === 1 ? undefined : 0))
    return name
  }

  #constant(tensor: TensorProto, node: NodeProto, draft: Draft): string {
    const { activationType = 'uint8' } = this.#options
    draft.removed.push(...this.#readers.replace(tensor))
    return this.#stored(tensor, quantizeConstant(tensor, node, activationType), undefined, draft)
  }

  /** Puts in a constant as eight bits. @returns name of what it is dequantized to */
  #stored(
    tensor: TensorProto,
    { data, scales, zeroPoints }: Int8Matrix,
    axis: number | undefined,
    draft: Draft,
  ): string {
    const known = this.#constants.get(tensor)
    if (known?.scales.length === scales.length && scales.every((scale, at) => scale === known.scales[at])) {
      return known.name
    }
    const [name, quantized] = [this.#namer.fresh(`${tensor.name}_rounded`), this.#namer.fresh(`${tensor.name}_q`)]
    const [scaleName, zeroName] = [this.#namer.fresh(`${tensor.name}_scale`), this.#namer.fresh(`${tensor.name}_zero`)]
    const dims = axis === undefined ? [] : [scales.length]
    draft.initializers.push(
      bytesTensor(quantized, dimsOf(tensor), data),
      makeTensor(scaleName, DataType.FLOAT, dims, scales),
      bytesTensor(zeroName, dims, zeroPoints),
    )
    draft.nodes.push(this.#dequantize(quantized, name, [scaleName, zeroName], axis))
    this.#constants.set(tensor, { scales, name })
    return name
  }
}

/** A Gemm whose factors have gone into its weight and bias. */
function plainGemm(node: NodeProto): NodeProto {
  const attribute = node.attribute.filter(({ name }) => name !== 'alpha' && name !== 'beta')
  return {
    ...node,
    attribute: [...attribute, makeAttribute('alpha', { float: 1 }), makeAttribute('beta', { float: 1 })],
  }
}
