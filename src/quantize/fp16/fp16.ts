import { DataType, rawBytesOf } from '../../onnx/data.ts'
import { OnnxError, safeName } from '../../onnx/errors.ts'
import type { GraphView } from '../../onnx/graph.ts'
import { inferTypes, type TypeTable } from '../../onnx/infer/infer.ts'
import type { Pass, PassContext, Patch } from '../../onnx/pass.ts'
import type { NodeProto, TensorProto } from '../../onnx/schema/onnx_pb.js'
import { FloatWeights } from '../shared/floats.ts'
import { HALF_MAX, HALF_MIN, type Halves, toHalves } from '../shared/halves.ts'
import type { QuantizePassOptions } from '../types.ts'
import { ioPatches, mergedCasts } from './casts.ts'
import { HalfCounterparts, type HalvedConstant } from './counterparts.ts'
import { BLOCKED_OPS, isMoving, obstacle, positional } from './ops.ts'

export interface Fp16Options extends QuantizePassOptions {
  /** Inputs and outputs of the model stay in single precision; true unless said otherwise. */
  readonly keepIo?: boolean
  /** Operators that stay in single precision; `BLOCKED_OPS` unless said otherwise. */
  readonly blockedOps?: readonly string[]
  /** Names of nodes that stay in single precision. */
  readonly nodeBlockList?: readonly string[]
  /** What values were seen to be: nodes whose values do not fit a half stay in single precision. */
  readonly ranges?: ReadonlyMap<string, { readonly min: number; readonly max: number }>
}

/**
 * Below this, halves lose more of a weight than rounding costs: a good part of it lies below 2^-14, where halves have
 * fewer bits. Rounding alone leaves about 73 dB.
 */
const LOWEST_SQNR_DB = 50

/** The same for a single number: one part in so many. */
const LARGEST_ERROR = 10 ** (-LOWEST_SQNR_DB / 20)

/** Operators that masks are made with. */
const MASKING: ReadonlySet<string> = new Set(['Mul', 'Add', 'Sub', 'Where', 'Min', 'Max', 'Clip'])

/** Operators with which an epsilon is kept away from zero. */
const GUARDING: ReadonlySet<string> = new Set(['Add', 'Sub', 'Max', 'Clip'])

/** What a single number from here on stands for: minus infinity, in attention masks. */
const SENTINEL = 1e9

/**
 * Brings a model's floats to half precision, as onnxconverter-common's `float16` does. A node that is converted reads
 * halves, and its results become floats again under their old names; what nobody reads of those goes with `dropDead`.
 * The pass needs nodes with names and `Constant` nodes made initializers; it converts, then takes out the casts that
 * cancel out across graphs.
 * @throws OnnxError bad_weights where a weight is not a number
 */
export function toFp16(options: Fp16Options = {}): Pass {
  const converter = new Converter(options)
  return {
    name: 'fp16',
    repeat: true,
    *propose(view, context) {
      const types = inferTypes(view.model)
      let found = false
      for (const patches of [
        () => (options.keepIo === false && view.outer === undefined ? ioPatches(view, types, context) : []),
        () => converter.convert(view, types, context),
        () => mergedCasts(view, types),
      ]) {
        for (const patch of patches()) {
          found = true
          yield patch
        }
        if (found) return
      }
    },
  }
}

class Converter {
  readonly #options: Fp16Options
  readonly #blockedOps: ReadonlySet<string>
  readonly #blockedNodes: ReadonlySet<string>
  readonly #halves = new Map<TensorProto, Halves>()
  /** Names of halves that graphs inside may read, by the constant that they are of. */
  readonly #shared = new Map<TensorProto, string>()
  readonly #wanted = new Set<TensorProto>()
  readonly #told = new Set<string>()

  constructor(options: Fp16Options) {
    this.#options = options
    this.#blockedOps = new Set(options.blockedOps ?? BLOCKED_OPS)
    this.#blockedNodes = new Set(options.nodeBlockList)
  }

  *convert(view: GraphView, types: TypeTable, context: PassContext): Iterable<Patch> {
    const positions = positional(view, types)
    const twins = new HalfCounterparts(view, types, context)
    yield* this.#sharedConstants(view, twins)
    for (const node of view.graph.node) {
      const isFloat = (value: string): boolean =>
        value !== '' && types.of(view.graph, value).elementType === DataType.FLOAT
      const inputs = node.input.filter(isFloat)
      const outputs = node.output.filter(isFloat)
      if (inputs.length + outputs.length === 0) continue
      const reason = this.#reason(node, view, types, positions)
      if (reason !== undefined) {
        if (reason !== '') this.#skip(node, reason)
        continue
      }
      if (isMoving(node) && !inputs.some((value) => twins.has(value) || view.constant(value))) continue
      const constants = new Map(inputs.flatMap((value) => this.#constant(value, view) ?? []))
      if (!this.#adoptOuter(constants, view, twins)) continue
      yield twins.patch(node, inputs, outputs, constants)
      this.#record(node, constants)
    }
  }

  /** Halves of this graph's constants that graphs inside are waiting for. */
  *#sharedConstants(view: GraphView, twins: HalfCounterparts): Iterable<Patch> {
    for (const tensor of view.graph.initializer) {
      if (!this.#wanted.delete(tensor)) continue
      const half = twins.constant(tensor.name, { tensor, halves: this.#halvesOf(tensor) })
      this.#shared.set(tensor, half.name)
      yield { what: `fp16 constant ${tensor.name}`, initializers: [half] }
    }
  }

  /**
   * Finds the halves of constants that belong to the graphs around, so that the branches of an `If` share them. False
   * where they are still to be made: the node's turn comes when they are.
   */
  #adoptOuter(constants: ReadonlyMap<string, HalvedConstant>, view: GraphView, twins: HalfCounterparts): boolean {
    let complete = true
    for (const [value, { tensor }] of constants) {
      if (twins.has(value)) continue
      const name = this.#shared.get(tensor)
      if (name !== undefined && view.constant(name)) twins.adopt(value, name)
      else if (!view.ownsConstant(value)) {
        this.#wanted.add(tensor)
        complete = false
      }
    }
    return complete
  }

  /** Why a node stays as it is; empty where that is nothing to tell. */
  #reason(node: NodeProto, view: GraphView, types: TypeTable, positions: ReadonlySet<NodeProto>): string | undefined {
    const found = obstacle(node, this.#blockedOps)
    if (found === 'silent') return ''
    if (this.#options.select?.(node, view) === false) return ''
    if (found === 'blocked') return `${node.opType} stays in single precision`
    if (this.#blockedNodes.has(node.name)) return 'is on the list of nodes that stay in single precision'
    if (positions.has(node)) return 'computes sizes or positions'
    const values = [...node.input, ...node.output].filter((value) => value !== '')
    const open = values.find((value) => types.of(view.graph, value).elementType === DataType.UNDEFINED)
    if (open !== undefined) return `the type of "${safeName(open)}" is not known`
    for (const value of values) {
      const range = this.#options.ranges?.get(value)
      if (range && Math.max(-range.min, range.max) > HALF_MAX) return `"${safeName(value)}" has values beyond 65504`
    }
    for (const value of node.input) {
      const fault = this.#fault(view.constant(value), node)
      if (fault !== undefined) return fault
    }
    return undefined
  }

  #fault(tensor: TensorProto | undefined, node: NodeProto): string | undefined {
    if (tensor?.dataType !== DataType.FLOAT) return undefined
    const { overflowed, nans, sqnrDb, bits } = this.#halvesOf(tensor)
    const name = `"${safeName(tensor.name)}"`
    if (bits.length === 1 && nans === 0) return this.#singleFault(tensor, node, name)
    if (nans > 0) {
      throw new OnnxError(
        'bad_weights',
        `${name} holds ${nans} elements that are not numbers. Export the model again.`,
        {
          node: node.name,
        },
      )
    }
    if (overflowed > 0) return `${name} holds numbers beyond 65504`
    if (sqnrDb !== null && sqnrDb < LOWEST_SQNR_DB) return `${name} holds numbers too small for half precision`
    return undefined
  }

  /** A single number may change where it only marks what is masked, or keeps a sum away from zero. */
  #singleFault(tensor: TensorProto, { opType }: NodeProto, name: string): string | undefined {
    const value = new FloatWeights(rawBytesOf(tensor)).read(0, 1)[0] ?? 0
    const { overflowed } = this.#halvesOf(tensor)
    const stored = clamped(value)
    if (overflowed > 0 || (Math.abs(value) > HALF_MAX && value !== stored && !MASKING.has(opType))) {
      return `${name} is beyond 65504`
    }
    const error = Math.abs(Math.f16round(stored) - value)
    if (Math.abs(value) < 1 && error > Math.abs(value) * LARGEST_ERROR && !GUARDING.has(opType)) {
      return `${name} is too small for half precision`
    }
    return undefined
  }

  #halvesOf(tensor: TensorProto): Halves {
    const known = this.#halves.get(tensor)
    if (known) return known
    const floats = new FloatWeights(rawBytesOf(tensor))
    const single = floats.length === 1 ? floats.read(0, 1)[0] : undefined
    const halves =
      single === undefined
        ? toHalves(floats.pieces(), floats.length)
        : toHalves([{ start: 0, values: Float32Array.of(clamped(single)) }], 1)
    this.#halves.set(tensor, halves)
    return halves
  }

  #constant(value: string, view: GraphView): [string, HalvedConstant][] | undefined {
    const tensor = view.constant(value)
    return tensor && [[value, { tensor, halves: this.#halvesOf(tensor) }]]
  }

  #skip(node: NodeProto, reason: string): void {
    if (this.#told.has(node.name)) return
    this.#told.add(node.name)
    this.#options.skip?.({ node: node.name, op: node.opType, reason })
  }

  #record(node: NodeProto, constants: ReadonlyMap<string, HalvedConstant>): void {
    for (const [weight, { halves }] of constants) {
      // Single numbers are factors and limits, and no weights.
      const elements = halves.bits.length
      if (elements === 1 || this.#told.has(weight)) continue
      this.#told.add(weight)
      this.#options.record?.({
        node: node.name,
        op: node.opType,
        weight,
        to: 'fp16',
        elements,
        bytesBefore: elements * 4,
        bytesAfter: elements * 2,
        sqnrDb: halves.sqnrDb,
      })
    }
  }
}

/**
 * A single number as a half can hold it. Sentinels that stand for minus infinity become the lowest half, since infinity
 * itself would make NaN of a mask that is multiplied by zero; an epsilon stays above zero, since it guards a division.
 */
function clamped(value: number): number {
  const magnitude = Math.abs(value)
  if (magnitude >= SENTINEL && Number.isFinite(value)) return Math.sign(value) * HALF_MAX
  return magnitude > 0 && magnitude < HALF_MIN ? Math.sign(value) * HALF_MIN : value
}
