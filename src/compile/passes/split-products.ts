import { DataType, dimsOf, floatsOf, integersOf, makeTensor } from '../../onnx/data.ts'
import type { GraphView, Namer } from '../../onnx/graph.ts'
import { intOf, intsOf, makeNode } from '../../onnx/make.ts'
import type { Pass } from '../../onnx/pass.ts'
import type { NodeProto, TensorProto } from '../../onnx/schema/onnx_pb.js'
import { integersAt, isFused, isOp, Taken } from '../pattern.ts'
import type { TypeOf } from './heads.ts'

/**
 * A product whose columns are cut apart, and that nothing else reads, becomes a product for each part: the gate of
 * ModernBERT's layers. Nothing is copied then, and each part's activation can join its product.
 */
export const splitProducts = (types: TypeOf): Pass => ({
  name: 'split-products',
  *propose(view, { namer }) {
    const taken = new Taken()
    for (const linear of view.graph.node) {
      if (!isFused(linear, 'Linear') || linear.input.length !== 3) continue
      const parts = partsOf(view, types, linear)
      const weight = parts && weightOf(view, linear)
      if (parts === undefined || weight === undefined) continue
      if (
        parts.some(({ from, to }) => to > weight.columns || (to - from) % COLUMNS !== 0) ||
        !taken.take(linear, ...new Set(parts.map(({ node }) => node)))
      )
        continue
      const cuts = parts.map((part) => cutProduct(linear, weight, part, namer))
      yield {
        what: `split ${linear.name}`,
        remove: [linear, ...new Set(parts.map(({ node }) => node))],
        add: cuts.flatMap(({ nodes }) => nodes),
        initializers: cuts.flatMap(({ initializers }) => initializers),
      }
    }
  },
})

/** Kernels compute as many columns at once: narrower parts would be computed in vain. */
const COLUMNS = 8

interface Part {
  /** What cuts it. */
  readonly node: NodeProto
  readonly output: string
  readonly from: number
  readonly to: number
}

/** The parts that all readers of a product take, where they take columns. */
function partsOf(view: GraphView, types: TypeOf, { output: [value = ''] }: NodeProto): Part[] | undefined {
  const last = (types(value).shape?.length ?? 0) - 1
  const readers = [...new Set(view.uses(value).map(({ node }) => node))]
  if (view.isOutput(value) || last < 1 || readers.length === 0) return undefined
  const width = types(value).shape?.[last]
  const parts = readers.map((node): Part[] => {
    if (isOp(node, 'Slice')) {
      const [from, to, axis, step = 1] = [1, 2, 3, 4].map((index) => integersAt(view, node.input[index])?.[0])
      const isColumns = integersAt(view, node.input[3])?.length === 1 && (axis === -1 || axis === last) && step === 1
      if (!isColumns || from === undefined || to === undefined || from < 0 || to <= from) return []
      return [{ node, output: node.output[0] ?? '', from, to }]
    }
    const axis = intOf(node, 'axis', 0)
    if (!isOp(node, 'Split') || (axis !== -1 && axis !== last) || typeof width !== 'number') return []
    const even = new Array<number>(node.output.length).fill(width / node.output.length)
    const widths = integersAt(view, node.input[1]) ?? intsOf(node, 'split') ?? even
    if (widths.length !== node.output.length || !widths.every((part) => Number.isInteger(part) && part > 0)) return []
    return node.output.map((output, index) => {
      const from = widths.slice(0, index).reduce((sum, part) => sum + part, 0)
      return { node, output, from, to: from + (widths[index] ?? 0) }
    })
  })
  return parts.every((found) => found.length > 0) && parts.flat().length > 1 ? parts.flat() : undefined
}

interface Weight {
  readonly tensor: TensorProto
  /** The node that makes floats of it, with its scale and zero point. */
  readonly dequantize: NodeProto | undefined
  readonly scale: TensorProto | undefined
  readonly zero: TensorProto | undefined
  readonly bias: TensorProto | undefined
  readonly columns: number
  /** The axis of its columns. */
  readonly axis: 0 | 1
}

function weightOf(view: GraphView, linear: NodeProto): Weight | undefined {
  const [, name = '', biasName = ''] = linear.input
  const producer = view.producer(name)
  const dequantize = isOp(producer, 'DequantizeLinear') ? producer : undefined
  const [tensor, scale, zero] = dequantize
    ? dequantize.input.map((input) => view.constant(input))
    : [view.constant(name)]
  const bias = biasName === '' ? undefined : view.constant(biasName)
  const axis = intOf(linear, 'transposed', 0) === 1 ? 0 : 1
  if (tensor === undefined || (dequantize !== undefined && scale === undefined)) return undefined
  const isFloat = [DataType.FLOAT, DataType.FLOAT16].includes(tensor.dataType) && dequantize === undefined
  const isWhole = [DataType.INT8, DataType.UINT8].includes(tensor.dataType) && dequantize !== undefined
  const isApart =
    dequantize === undefined || scale === undefined || countOf(scale) === 1 || intOf(dequantize, 'axis', 1) === axis
  if ((!isFloat && !isWhole) || !isApart || (biasName !== '' && bias?.dataType !== DataType.FLOAT)) return undefined
  return { tensor, dequantize, scale, zero, bias, columns: dimsOf(tensor)[axis] ?? 0, axis }
}

function countOf(tensor: TensorProto): number {
  return dimsOf(tensor).reduce((count, dim) => count * dim, 1)
}

function cutProduct(
  linear: NodeProto,
  { tensor, dequantize, scale, zero, bias, axis }: Weight,
  { output, from, to }: Part,
  namer: Namer,
): { readonly nodes: NodeProto[]; readonly initializers: TensorProto[] } {
  const initializers: TensorProto[] = []
  const cut = (source: TensorProto | undefined, along: number): string => {
    if (source === undefined) return ''
    const name = namer.fresh(`${source.name}_${from}`)
    initializers.push(cutTensor(source, name, { axis: along, from, to }))
    return name
  }
  const weight = cut(tensor, axis)
  const floats = dequantize === undefined ? weight : namer.fresh(`${weight}_floats`)
  const nodes: NodeProto[] =
    dequantize === undefined
      ? []
      : [
          {
            ...dequantize,
            input: [weight, ...[scale, zero].flatMap((item) => (item ? [cut(item, 0)] : []))],
            output: [floats],
            name: floats,
          },
        ]
  const product = makeNode({
    op: linear.opType,
    domain: linear.domain,
    inputs: [linear.input[0] ?? '', floats, cut(bias, 0)],
    outputs: [output],
    name: output,
  })
  return { nodes: [...nodes, { ...product, attribute: linear.attribute }], initializers }
}

/** Some of a constant's elements along an axis; of a constant of one element, that one. */
function cutTensor(
  tensor: TensorProto,
  name: string,
  { axis, from, to }: { readonly axis: number; readonly from: number; readonly to: number },
): TensorProto {
  const dims = dimsOf(tensor)
  if (countOf(tensor) === 1) return { ...tensor, name }
  const inner = dims.slice(axis + 1).reduce((count, dim) => count * dim, 1)
  const whole = dims[axis] ?? 1
  const isKept = (index: number): boolean => {
    const place = Math.floor(index / inner) % whole
    return place >= from && place < to
  }
  const shape = dims.with(axis, to - from)
  switch (tensor.dataType) {
    case DataType.INT8:
      return makeTensor(
        name,
        tensor.dataType,
        shape,
        Int8Array.from(integersOf(tensor).filter((_, index) => isKept(index))),
      )
    case DataType.UINT8:
      return makeTensor(
        name,
        tensor.dataType,
        shape,
        Uint8Array.from(integersOf(tensor).filter((_, index) => isKept(index))),
      )
    case DataType.FLOAT16:
      return makeTensor(
        name,
        tensor.dataType,
        shape,
        Float16Array.from(floatsOf(tensor).filter((_, index) => isKept(index))),
      )
    default:
      return makeTensor(
        name,
        DataType.FLOAT,
        shape,
        floatsOf(tensor).filter((_, index) => isKept(index)),
      )
  }
}
