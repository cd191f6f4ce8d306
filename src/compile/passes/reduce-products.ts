import { DataType, makeTensor } from '../../onnx/data.ts'
import type { GraphView } from '../../onnx/graph.ts'
import { intOf, makeNode } from '../../onnx/make.ts'
import type { Pass } from '../../onnx/pass.ts'
import type { NodeProto } from '../../onnx/schema/onnx_pb.js'
import { bothWays, DOMAIN, isOp, scalarOf, soleProducer, Taken } from '../pattern.ts'

/** Above this a product of rests needs more than 32 bits even in two parts. */
const MOST = 2 ** 20
const LIMIT = 2 ** 31

/**
 * Products of whole numbers with a constant whose rest is taken, as hashes have them: INT64 is 32 bits wide in the engine.
 * (a * k) mod p is computed from a' = a mod p in two parts of few bits, ((a' / 2^s) * (2^s * k mod p)) mod p and
 * ((a' mod 2^s) * k) mod p, neither of which leaves 32 bits.
 */
export const reduceProducts: Pass = {
  name: 'reduce-products',
  *propose(view, { namer }) {
    const taken = new Taken()
    for (const mod of view.graph.node) {
      if (!isOp(mod, 'Mod') || intOf(mod, 'fmod', 0) !== 0) continue
      const by = longAt(view, mod.input[1])
      if (by === undefined || by < 2 || by > MOST) continue
      const products = productsIn(view, mod.input[0])
      // Where a sum of them may leave 64 bits, ONNX takes the rest of what wraps around.
      if (products.reduce((sum, { factor }) => sum + Math.abs(factor), 0) >= LIMIT) continue
      for (const { node, value, factor } of products) {
        if (!taken.take(node)) continue
        const fresh = (part: string): string => namer.fresh(`${node.name}_${part}`)
        yield {
          what: `keep ${node.name} in 32 bits`,
          remove: [node],
          ...parts(value, factor, { by, output: node.output[0] ?? '', fresh }),
        }
      }
    }
  },
}

interface Product {
  readonly node: NodeProto
  readonly value: string
  readonly factor: number
}

/** Products with a constant that a sum consists of, where nothing else reads them. */
function productsIn(view: GraphView, start: string | undefined): Product[] {
  const node = soleProducer(view, start)
  if (isOp(node, 'Add')) return node.input.flatMap((value) => productsIn(view, value))
  if (!isOp(node, 'Mul')) return []
  for (const [value, constant] of bothWays(node)) {
    const factor = longAt(view, constant)
    if (factor !== undefined && Number.isSafeInteger(factor)) return [{ node, value, factor }]
  }
  return []
}

/** A constant of INT64: products of INT32 wrap around before the rest is taken. */
function longAt(view: GraphView, value: string | undefined): number | undefined {
  const tensor = value === undefined ? undefined : view.constant(value)
  return tensor?.dataType === DataType.INT64 ? scalarOf(view, value) : undefined
}

interface Target {
  readonly by: number
  readonly output: string
  readonly fresh: (part: string) => string
}

function parts(value: string, factor: number, { by, output, fresh }: Target) {
  // Both parts stay below 2^31: (by / 2^s) * by and 2^s * by.
  let bits = 0
  while (Math.ceil(by / 2 ** bits) * by >= LIMIT) bits++
  const rest = ((factor % by) + by) % by
  const constants = { by, half: 2 ** bits, low: rest, high: (rest * 2 ** bits) % by }
  const named = (part: keyof typeof constants): string => names[part]
  const names = { by: fresh('by'), half: fresh('half'), low: fresh('low'), high: fresh('high') }
  const node = (op: string, inputs: readonly string[], result = fresh('part')): NodeProto =>
    makeNode({ op, inputs, outputs: [result], name: result, domain: op === 'Product' ? DOMAIN : '' })
  const within = node('Mod', [value, named('by')])
  const above = node('Div', [outputOf(within), named('half')])
  const below = node('Mod', [outputOf(within), named('half')])
  const high = node('Product', [outputOf(above), named('high')])
  const low = node('Product', [outputOf(below), named('low')])
  const highRest = node('Mod', [outputOf(high), named('by')])
  const lowRest = node('Mod', [outputOf(low), named('by')])
  const sum = node('Add', [outputOf(highRest), outputOf(lowRest)], output)
  return {
    add: [within, above, below, high, low, highRest, lowRest, sum],
    initializers: (Object.keys(constants) as (keyof typeof constants)[]).map((part) =>
      makeTensor(named(part), DataType.INT64, [], BigInt64Array.of(BigInt(constants[part]))),
    ),
  }
}

function outputOf({ output: [name = ''] }: NodeProto): string {
  return name
}
