import { LOOP_BOUND } from '../core/loops.ts'
import { countOf, DataType, integersOf, makeTensor } from './data.ts'
import { OnnxError } from './errors.ts'
import { GraphView, Namer } from './graph.ts'
import { attributeOf, makeNode, subgraphsOf } from './make.ts'
import { copyModel } from './pass.ts'
import type { GraphProto, ModelProto, NodeProto, TensorProto } from './schema/onnx_pb.js'

/** A loop whose end depends on what is sent, and what is known of its cost. */
export interface BoundedLoop {
  /** The input that is its number of steps; absent where the number is computed, or a condition ends the loop. */
  readonly input?: string
  /** Most steps of a run. */
  readonly steps: number
  /** Of a step, in units of a million multiply-adds: for any step, and for each element of the model's inputs. */
  readonly cost: number
  readonly perElement: number
}

export interface BoundOptions {
  /** Units that one request may cost: loops are bounded so that they stay below it. */
  readonly cost: number
  /** Steps by the operator's word; else as many as their estimated cost allows. */
  readonly steps?: number | undefined
}

export interface BoundLoops {
  readonly model: ModelProto
  readonly loops: readonly BoundedLoop[]
}

/** Of a step of any loop, and of each of its nodes, in units: measured with a loop of three nodes, 41 us a step. */
const STEP_COST = 0.15
const NODE_COST = 0.08
/** Weights are read once in a step, from memory and not from a cache. */
const UNITS_PER_WEIGHT = 3e-6
/** A nanosecond for each element and node, in units. */
const ELEMENT_COST = 1.5e-5
/** Products of two values that are computed may meet each element with thousands of others. */
const PRODUCT_COST = 2e-3
const PRODUCTS = new Set([
  'MatMul',
  'Gemm',
  'Conv',
  'ConvTranspose',
  'Einsum',
  'MatMulInteger',
  'ConvInteger',
  'Attention',
])
/** Most steps of a loop whose number of steps is computed: as many as the longest texts have tokens. */
const COMPUTED_STEPS = 4_096
/** The same inside another loop. */
const INNER_STEPS = 64
/** Steps of what walks along an axis of its input. */
const SCAN_STEPS = 4_096
/** A longer loop of a fixed number of steps that a condition can end is taken for one without a number. */
const FIXED_STEPS = 100_000

/**
 * Gives every `Loop` whose end depends on what is sent a bound. A step past it, or a number of steps above it, fails the
 * run by a look-up outside of a table of one row, whose node is named by `LOOP_BOUND`: a graph has no other way to fail.
 * Nothing can interrupt a run at the edge, and a number that is computed from the inputs cannot be known beforehand.
 *
 * Loops of a fixed number of steps, and `Scan`, which walks along its input, stay as they are.
 * @throws OnnxError unsupported for a loop inside a function of the model's own
 */
export function boundLoops(original: ModelProto, options: BoundOptions): BoundLoops {
  if (original.functions.some(({ node }) => node.some(holdsLoop))) {
    throw new OnnxError(
      'unsupported',
      'The model has a loop inside an ONNX function. Export it with functions inlined.',
    )
  }
  if (!original.graph?.node.some(holdsLoop)) return { model: original, loops: [] }
  const model = copyModel(original)
  const { graph } = model
  if (graph === undefined) return { model: original, loops: [] }
  const bounding = new Bounding(model, options)
  bounding.visit(new GraphView(model, graph), { times: 1, counted: false })
  return { model, loops: bounding.loops }
}

function holdsLoop(node: NodeProto): boolean {
  return isLoop(node) || subgraphsOf(node).some((graph) => graph.node.some(holdsLoop))
}

function isLoop({ opType, domain }: NodeProto): boolean {
  return opType === 'Loop' && (domain === '' || domain === 'ai.onnx')
}

/** Where a graph is run. */
interface Place {
  /** How often it runs in one run of the model. */
  readonly times: number
  /** A loop around it has a bound already, whose cost covers it. */
  readonly counted: boolean
}

interface GraphCost {
  readonly cost: number
  readonly perElement: number
}

class Bounding {
  readonly loops: BoundedLoop[] = []
  readonly #options: BoundOptions
  readonly #namer: Namer
  /** Loops of the main graph share what a request may cost. */
  readonly #siblings: number

  constructor(model: ModelProto, options: BoundOptions) {
    this.#options = options
    this.#namer = new Namer(model)
    this.#siblings = Math.max(1, model.graph?.node.filter(holdsLoop).length ?? 1)
  }

  /**
   * Bounds the loops of a graph and of those inside it.
   * @param place where it is run
   * @returns what it costs to run once, loops included
   */
  visit(view: GraphView, place: Place): GraphCost {
    const { counted, times } = place
    const nodes: NodeProto[] = []
    const total = { cost: 0, perElement: 0 }
    const add = ({ cost, perElement }: GraphCost, steps = 1): void => {
      total.cost += steps * cost
      total.perElement += steps * perElement
    }
    for (const node of view.graph.node) {
      add(nodeCost(view, node))
      if (!isLoop(node)) {
        const steps = node.opType === 'Scan' ? SCAN_STEPS : 1
        for (const graph of subgraphsOf(node)) {
          add(this.visit(inside(view, graph, node), { counted, times: times * steps }), steps)
        }
        nodes.push(node)
        continue
      }
      const [body] = subgraphsOf(node)
      if (body === undefined) continue
      const fixed = fixedSteps(view, node, body)
      const inner = this.visit(inside(view, body, node), {
        times: times * (fixed ?? SCAN_STEPS),
        counted: counted || fixed === undefined,
      })
      const step = { cost: inner.cost + STEP_COST, perElement: inner.perElement }
      if (fixed !== undefined) {
        add(step, fixed)
        nodes.push(node)
        continue
      }
      const input = view.outer === undefined ? inputOf(view, node.input[0] ?? '') : undefined
      const steps = this.#stepsFor(step.cost, times, input !== undefined)
      add(step, steps)
      if (!counted) {
        this.loops.push({ ...(input !== undefined && { input }), steps: times * steps, ...rounded(step) })
      }
      nodes.push(...this.#bound(view, node, body, steps))
    }
    view.graph.node = nodes
    return total
  }

  /** A number that is sent is priced before each run; for one that is not, half of the budget is left for its inputs. */
  #stepsFor(cost: number, times: number, isSent: boolean): number {
    const { cost: budget, steps } = this.#options
    if (steps !== undefined) return steps
    const share = budget / this.#siblings / (isSent ? 1 : 2) / cost
    const most = times > 1 ? INNER_STEPS : isSent ? Number.POSITIVE_INFINITY : COMPUTED_STEPS
    return Math.max(1, Math.floor(Math.min(most, share / times)))
  }

  /** @returns what takes the loop's place */
  #bound(view: GraphView, node: NodeProto, body: GraphProto, steps: number): NodeProto[] {
    const name = `${LOOP_BOUND}${steps}`
    const [iteration, condition] = [body.input[0]?.name, body.output[0]]
    if (iteration === undefined || condition === undefined) return [node]
    const fresh = (what: string): string => this.#namer.fresh(`${name}_${what}`)

    // In the body: an index of 0 up to the bound and 1 from there on, into a table of one row.
    const [index, going, again] = [fresh('index'), fresh('going'), fresh('again')]
    const [most, table] = [fresh('steps'), fresh('table')]
    body.initializer.push(int64(most, [], steps), bool(table, [1]))
    body.node.push(
      makeNode({ op: 'Div', inputs: [iteration, most], outputs: [index], name: fresh('divide') }),
      makeNode({ op: 'Gather', inputs: [table, index], outputs: [going], name: fresh('check') }),
      makeNode({ op: 'And', inputs: [condition.name, going], outputs: [again], name: fresh('and') }),
    )
    body.output = [{ ...condition, name: again }, ...body.output.slice(1)]

    // Before the loop, where its condition does not end it: a number of steps above the bound costs nothing then.
    const [count, ...others] = node.input
    if (count === undefined || count === '' || !keepsGoing(view, node, body, condition.name)) return [node]
    const [above, zero, checked] = [fresh('above'), fresh('zero'), fresh('count')]
    const [limit, zeros] = [fresh('limit'), fresh('zeros')]
    view.graph.initializer.push(int64(limit, [], steps + 1), int64(zeros, [1], 0))
    return [
      makeNode({ op: 'Div', inputs: [count, limit], outputs: [above], name: fresh('divide') }),
      makeNode({ op: 'Gather', inputs: [zeros, above], outputs: [zero], name: fresh('check') }),
      makeNode({ op: 'Add', inputs: [count, zero], outputs: [checked], name: fresh('add') }),
      { ...node, input: [checked, ...others] },
    ]
  }
}

function inside(view: GraphView, graph: GraphProto, { name, opType }: NodeProto): GraphView {
  return new GraphView(view.model, graph, view, `${view.path}/${name || opType}`)
}

/** The number of steps, where it is fixed: undefined for one that is sent, computed, absent, or huge and ended by a condition. */
function fixedSteps(view: GraphView, node: NodeProto, body: GraphProto): number | undefined {
  const count = view.producer(node.input[0] ?? '')
  const tensor = count?.opType === 'Constant' ? attributeOf(count, 'value')?.t : view.constant(node.input[0] ?? '')
  if (tensor === undefined || countOf(tensor) !== 1) return undefined
  const steps = integersOf(tensor)[0] ?? 0
  const endless = steps > FIXED_STEPS && !keepsGoing(view, node, body, body.output[0]?.name ?? '')
  return endless ? undefined : Math.max(0, steps)
}

/** Whether a loop's condition is true from the first step to the last, as a loop that counts has it. */
function keepsGoing(view: GraphView, node: NodeProto, body: GraphProto, condition: string): boolean {
  const inner = new GraphView(view.model, body, view)
  const given = body.input[1]?.name
  const passes = (value: string, depth = 4): boolean => {
    if (value === given) return true
    const producer = inner.producer(value)
    if (producer === undefined) return isTrue(inner.constant(value))
    if (producer.opType === 'Constant') return isTrue(attributeOf(producer, 'value')?.t)
    const carries = producer.opType === 'Identity' || producer.opType === 'Cast'
    return carries && depth > 0 && passes(producer.input[0] ?? '', depth - 1)
  }
  const first = node.input[1] ?? ''
  const producer = view.producer(first)
  const begins = producer?.opType === 'Constant' ? attributeOf(producer, 'value')?.t : view.constant(first)
  return (first === '' || isTrue(begins)) && passes(condition)
}

function isTrue(tensor: TensorProto | undefined): boolean {
  return tensor !== undefined && tensor.dataType === DataType.BOOL && integersOf(tensor).every((value) => value === 1)
}

/** Nodes that hand a whole number on as it is. */
const CARRIERS = new Set(['Cast', 'Identity', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze'])
const LONGEST_CHAIN = 8

/** The input of the model that a value is, by way of nodes that do not change it. */
function inputOf(view: GraphView, value: string, depth = LONGEST_CHAIN): string | undefined {
  if (view.isInput(value)) return value
  const producer = view.producer(value)
  if (producer === undefined || depth === 0 || !CARRIERS.has(producer.opType)) return undefined
  return inputOf(view, producer.input[0] ?? '', depth - 1)
}

function nodeCost(view: GraphView, { input, opType }: NodeProto): GraphCost {
  const constants = input.flatMap((value) => view.constant(value) ?? [])
  const weights = constants.reduce((sum, tensor) => sum + countOf(tensor), 0)
  const computed = input.filter((value) => value !== '').length - constants.length
  return {
    cost: NODE_COST + UNITS_PER_WEIGHT * weights,
    perElement: PRODUCTS.has(opType) && computed > 1 ? PRODUCT_COST : ELEMENT_COST,
  }
}

function rounded({ cost, perElement }: GraphCost): GraphCost {
  return { cost: Number(cost.toPrecision(3)), perElement: Number(perElement.toPrecision(3)) }
}

function int64(name: string, dims: readonly number[], value: number): TensorProto {
  return makeTensor(name, DataType.INT64, dims, BigInt64Array.of(BigInt(value)))
}

function bool(name: string, dims: readonly number[]): TensorProto {
  return makeTensor(name, DataType.BOOL, dims, Uint8Array.of(1))
}
