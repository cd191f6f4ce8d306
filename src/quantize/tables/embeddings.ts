import type { Pass, Patch } from '../../onnx/pass.ts'
import type { TensorProto } from '../../onnx/schema/onnx_pb.js'
import type { Tied, TiedTable, Ties } from '../products/ties.ts'
import { checkedBlockSize } from '../products/weight-only.ts'
import type { BlockSize } from '../shared/blocks.ts'
import type { FloatWeights } from '../shared/floats.ts'
import { constantLookup, type Lookup } from '../shared/lookups.ts'
import { finiteWeight, layerResult, nameOf, Readers, requireOpset } from '../shared/weights.ts'
import type { QuantizePassOptions } from '../types.ts'
import { BlockTable, fillsBlocks } from './embedding-blocks.ts'
import { COLUMN_OPSET, ColumnTable } from './embedding-column.ts'
import { Int8Table } from './embedding-int8.ts'

export interface EmbeddingsOptions extends QuantizePassOptions {
  /** 8, the default, or 4. Tables whose rows are too short for blocks of four bits get eight all the same. */
  readonly bits?: 8 | 4
  /** For four bits: consecutive elements of a row that share a scale. 32 if left out. */
  readonly blockSize?: BlockSize
  /** For four bits: levels around zero, without zero points. True if left out. Eight bits are symmetric. */
  readonly symmetric?: boolean
  /**
   * For four bits: the precision of scales. Halves, the default, where they reach; WebGPU reads them only where it has
   * `shader-f16`, every CPU does.
   */
  readonly scales?: 'fp16' | 'fp32'
  /** Tables that products have stored already. */
  readonly ties?: Ties
}

/** A table in its new form, and what writes a lookup in it. */
export type QuantizedTable = BlockTable | ColumnTable | Int8Table

/** `Mul` broadcasts in this way since. */
const OPSET = 7

/**
 * Tables that rows are looked up in, `Gather` of a constant along its first axis, in eight or four bits. Only the rows
 * that are looked up are turned back into floats.
 * @throws OnnxError bad_options; unsupported below operator set 7; bad_weights where a table has NaN or infinity
 */
export function embeddings(options: EmbeddingsOptions = {}): Pass {
  const { select, skip, bits = 8 } = options
  const blocks = {
    blockSize: checkedBlockSize(options.blockSize),
    symmetric: options.symmetric ?? true,
    scales: options.scales ?? 'fp16',
  }
  const made = new Map<TensorProto, QuantizedTable>()
  const freed = new Set<TensorProto>()

  const newTable = (lookup: Lookup, floats: FloatWeights, opset: number): QuantizedTable => {
    if (bits === 4 && fillsBlocks(lookup, blocks)) return new BlockTable(lookup, floats, blocks)
    const inOneColumn = lookup.columns === 1 && lookup.table.dims.length === 2
    if (bits === 4 && inOneColumn && opset >= COLUMN_OPSET) return new ColumnTable(lookup, floats, blocks)
    return new Int8Table(lookup, floats)
  }

  const tableOf = (lookup: Lookup, opset: number): QuantizedTable => {
    const known = made.get(lookup.table)
    if (known) return known
    const floats = finiteWeight(lookup.table, lookup.node)
    const table = newTable(lookup, floats, opset)
    made.set(lookup.table, table)
    return table
  }

  return {
    name: `embeddings ${bits} bits`,
    *propose(view, { namer }) {
      const readers = new Readers(view, freed)
      const named = new Map<QuantizedTable, readonly string[]>()
      yield* readers.sweep()
      for (const node of view.graph.node) {
        const lookup = constantLookup(view, node)
        if (lookup === undefined || select?.(node, view) === false) continue
        if ('reason' in lookup) {
          skip?.({ node: nameOf(node), op: node.opType, reason: lookup.reason })
          continue
        }
        requireOpset(view, OPSET)
        const elements = lookup.rows * lookup.columns
        const record = ({ to, bytes: bytesAfter, loss }: Pick<TiedTable, 'to' | 'bytes' | 'loss'>): void =>
          options.record?.(layerResult(node, lookup.table, { to, elements, bytesAfter, loss }))
        const fresh = (base: string): string => namer.fresh(base)
        const tied = options.ties?.of(view, lookup)
        if (tied) {
          yield tiedPatch(lookup, tied, readers, fresh)
          record(tied.table)
          continue
        }
        if (lookup.through) {
          skip?.({ node: nameOf(node), op: node.opType, reason: 'its table is the transpose of a weight in float' })
          continue
        }
        const table = tableOf(lookup, view.opset())
        const initializers = named.has(table) ? [] : table.initializers(fresh)
        const names = named.get(table) ?? initializers.map(({ name }) => name)
        named.set(table, names)
        yield {
          what: `${table.to} ${nameOf(node)}`,
          remove: [node],
          add: table.lookup(node, names, fresh, view.opset()),
          initializers,
          removeInitializers: readers.replace(lookup.table),
          opsets: table.opsets,
        }
        record(table)
      }
    },
  }
}

/** A lookup in what a product has stored. */
function tiedPatch(
  { node, table: weight, through }: Lookup,
  { table, rank }: Tied,
  readers: Readers,
  fresh: (base: string) => string,
): Patch {
  const { nodes, initializers } = table.lookup(node, rank, fresh)
  const { remove, removeInitializers } = readers.freed(weight, through)
  return {
    what: `${table.to} ${nameOf(node)}, tied`,
    remove: [node, ...remove],
    add: nodes,
    initializers,
    removeInitializers,
    opsets: table.opsets,
  }
}
