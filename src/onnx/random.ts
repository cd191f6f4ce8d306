import { integersOf } from './data.ts'
import { functionBodies, type GraphView, graphsOf } from './graph.ts'
import { attributeOf, intOf } from './make.ts'
import type { ModelProto, NodeProto } from './schema/onnx_pb.js'

/** A node that draws random numbers while the model runs. */
export interface RandomNode {
  readonly node: string
  readonly op: string
}

/** Operators that draw random numbers whatever their inputs are, of ONNX and of ONNX Runtime. */
const DRAWS: ReadonlySet<string> = new Set([
  'RandomNormal',
  'RandomNormalLike',
  'RandomUniform',
  'RandomUniformLike',
  'Multinomial',
  'Bernoulli',
  'Sampling',
])

/** Operators that drop elements at random where their third input, `training_mode`, is true. */
const DROPS: ReadonlySet<string> = new Set(['Dropout', 'BiasDropout', 'BitmaskDropout'])
const TRAINING_MODE: Readonly<Record<string, number>> = { Dropout: 2, BitmaskDropout: 2, BiasDropout: 4 }

/** Version of the operator set since which `Dropout` has `training_mode` as an input, and before which `is_test`. */
const MODE_INPUT_SINCE = 12
const IS_TEST_BEFORE = 7

/**
 * The nodes by which a model answers the same input differently each time: generators of random numbers, and dropout in
 * training mode, or in a mode that the caller chooses. A `seed` changes nothing: it starts the session's generator, and
 * every run goes on with it. In all graphs and functions; empty for a model that answers the same twice.
 */
export function randomNodes(model: ModelProto): RandomNode[] {
  const found: RandomNode[] = []
  for (const view of [...graphsOf(model), ...functionBodies(model)]) {
    for (const node of view.graph.node) if (isRandom(node, view)) found.push(named(node))
  }
  return found
}

function isRandom(node: NodeProto, view: GraphView): boolean {
  if (DRAWS.has(node.opType)) return true
  if (!DROPS.has(node.opType)) return false
  const opset = node.opType === 'Dropout' ? view.opset() : MODE_INPUT_SINCE
  if (opset < IS_TEST_BEFORE) return intOf(node, 'is_test', 0) === 0
  return opset >= MODE_INPUT_SINCE && mayTrain(node.input[TRAINING_MODE[node.opType] ?? 2] ?? '', view)
}

/** Whether a dropout's mode is or can be training: left out and constant false are not. */
function mayTrain(value: string, view: GraphView): boolean {
  if (value === '') return false
  const tensor = view.constant(value) ?? constantNode(value, view)
  return tensor === undefined || integersOf(tensor)[0] !== 0
}

function constantNode(value: string, view: GraphView) {
  for (let at: GraphView | undefined = view; at !== undefined; at = at.outer) {
    const producer = at.producer(value)
    if (producer) return producer.opType === 'Constant' ? attributeOf(producer, 'value')?.t : undefined
  }
  return undefined
}

function named({ name, opType, output }: NodeProto): RandomNode {
  return { node: name || output[0] || opType, op: opType }
}
