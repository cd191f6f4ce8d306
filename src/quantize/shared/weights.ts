import { floatsOf, rawBytesOf } from '../../onnx/data.ts'
import { OnnxError, safeName } from '../../onnx/errors.ts'
import type { GraphView } from '../../onnx/graph.ts'
import type { Patch } from '../../onnx/pass.ts'
import type { NodeProto, TensorProto } from '../../onnx/schema/onnx_pb.js'
import type { LayerResult } from '../types.ts'
import { FloatWeights } from './floats.ts'
import { decibels } from './metrics.ts'

/** Weights with fewer elements stay: the nodes and scales that come with quantizing them take about as much. */
export const LEAST_ELEMENTS = 1024

/** Scales below the smallest normal single are zero to some processors. What needs one is zero for all purposes. */
export const LEAST_SCALE = 2 ** -126

/** A weight in its new form, with what was lost. */
export interface Loss {
  /** Sum of the squares of the weight's elements. */
  readonly signal: number
  /** Sum of the squares of what was lost of them. */
  readonly noise: number
}

/** Name of a node for messages and reports; its first output where it has none. */
export function nameOf(node: NodeProto): string {
  return node.name || node.output[0] || node.opType
}

/**
 * A weight's elements, to be read in pieces.
 * @param weight of 32-bit floats
 * @throws OnnxError bad_weights where one is NaN or infinite; what `rawBytesOf` throws
 */
export function finiteWeight(weight: TensorProto, node: NodeProto): FloatWeights {
  const floats = new FloatWeights(rawBytesOf(weight))
  checkFinite(floats, weight, node)
  return floats
}

/** A floating-point weight's elements in one piece. @throws OnnxError as `finiteWeight` does */
export function finiteFloats(weight: TensorProto, node: NodeProto): Float32Array {
  const values = floatsOf(weight)
  checkFinite(new FloatWeights(values), weight, node)
  return values
}

function checkFinite(floats: FloatWeights, weight: TensorProto, node: NodeProto): void {
  for (const { start, values } of floats.pieces()) {
    // Only NaN and the infinities times 0 are not 0: one test for all of them.
    let sum = 0
    for (let index = 0; index < values.length; index++) sum += (values[index] as number) * 0
    if (sum === 0) continue
    const at = values.findIndex((value) => !Number.isFinite(value))
    throw new OnnxError(
      'bad_weights',
      `Weight "${safeName(weight.name)}" of node "${safeName(nameOf(node))}" has ${values[at]} at element ${start + at}. Train or export the model again, or exclude the node.`,
      { node: nameOf(node) },
    )
  }
}

/** @throws OnnxError unsupported where the model's operator set lacks what the new nodes need */
export function requireOpset(view: GraphView, version: number): void {
  const opset = view.opset()
  if (opset >= version) return
  throw new OnnxError(
    'unsupported',
    `The model uses operator set ${opset}, but this quantization needs ${version}. Convert the model first.`,
  )
}

export function layerResult(
  node: NodeProto,
  weight: TensorProto,
  { to, elements, bytesAfter, loss }: Pick<LayerResult, 'to' | 'elements' | 'bytesAfter'> & { readonly loss: Loss },
): LayerResult {
  return {
    node: nameOf(node),
    op: node.opType,
    weight: weight.name,
    to,
    elements,
    bytesBefore: 4 * elements,
    bytesAfter,
    sqnrDb: loss.noise === 0 || loss.signal === 0 ? null : decibels(loss.signal, loss.noise),
  }
}

/** Counts down who still reads a graph's weights in float while a pass replaces their readers one by one. */
export class Readers {
  readonly #view: GraphView
  /** Weights of outer graphs whose readers inside were replaced; kept by the pass, which sees the inner graphs first. */
  readonly #freed: Set<TensorProto>
  readonly #left = new Map<string, number>()

  constructor(view: GraphView, freed: Set<TensorProto>) {
    this.#view = view
    this.#freed = freed
  }

  /**
   * Notes that one reading of a weight is replaced.
   * @param through the `Transpose` that it was read through
   * @returns what nothing reads any more: the `Transpose`, and the weight's name if the graph owns it
   */
  freed(weight: TensorProto, through: NodeProto | undefined): Required<Pick<Patch, 'remove' | 'removeInitializers'>> {
    if (through === undefined) return { remove: [], removeInitializers: this.replace(weight) }
    const value = through.output[0] ?? ''
    const left = (this.#left.get(value) ?? this.#view.uses(value).length) - 1
    this.#left.set(value, left)
    if (left > 0 || this.#view.isOutput(value)) return { remove: [], removeInitializers: [] }
    return { remove: [through], removeInitializers: this.replace(weight) }
  }

  /** Notes that one reading of a weight is replaced. The weight's name if it was the last and the graph owns it. */
  replace(weight: TensorProto): string[] {
    const { name } = weight
    if (!this.#view.ownsConstant(name)) {
      this.#freed.add(weight)
      return []
    }
    const left = (this.#left.get(name) ?? this.#view.uses(name).length) - 1
    this.#left.set(name, left)
    return left === 0 && !this.#view.isOutput(name) ? [name] : []
  }

  /** Takes out the graph's weights that only inner graphs read, and read no more. */
  *sweep(): Iterable<Patch> {
    const { graph } = this.#view
    const names = graph.initializer
      .filter((tensor) => this.#freed.has(tensor))
      .map(({ name }) => name)
      .filter((name) => this.#view.uses(name).length === 0 && !this.#view.isOutput(name) && !this.#view.isInput(name))
    if (names.length > 0) yield { what: `drop ${names.length} weights in float`, removeInitializers: names }
  }
}
