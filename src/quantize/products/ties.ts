import type { GraphView } from '../../onnx/graph.ts'
import { inferTypes } from '../../onnx/infer/infer.ts'
import type { GraphProto, NodeProto, TensorProto } from '../../onnx/schema/onnx_pb.js'
import type { Lookup } from '../shared/lookups.ts'
import type { Loss } from '../shared/weights.ts'

/** A lookup in a matrix that a product has stored: the nodes that do it, and what they read beside the matrix. */
export interface TiedLookup {
  readonly nodes: readonly NodeProto[]
  readonly initializers: readonly TensorProto[]
}

/** A table that is stored as a product's weight. */
export interface TiedTable {
  readonly to: string
  readonly loss: Loss
  /** With scales and zero points, as the product counts them. */
  readonly bytes: number
  readonly opsets: Readonly<Record<string, number>>
  /** @param rank of the indices */
  lookup(node: NodeProto, rank: number, fresh: (base: string) => string): TiedLookup
}

export interface Tied {
  readonly table: TiedTable
  /** Of the indices. */
  readonly rank: number
}

/**
 * Weights that products have stored in fewer bits and that are tables elsewhere: language models read one matrix as the
 * table of their tokens and, transposed, as their last layer. Lookups read what the product stored, so that the matrix
 * is in the file once.
 */
export class Ties {
  readonly #tables = new Map<GraphProto, Map<TensorProto, Map<boolean, TiedTable>>>()
  readonly #ranks = new WeakMap<GraphView, (value: string) => number | undefined>()

  /** @param turned whether the table is the transpose of the weight as the file has it */
  note({ graph }: GraphView, weight: TensorProto, turned: boolean, table: TiedTable): void {
    const tables = this.#tables.get(graph) ?? new Map<TensorProto, Map<boolean, TiedTable>>()
    this.#tables.set(graph, tables)
    const both = tables.get(weight) ?? new Map<boolean, TiedTable>()
    tables.set(weight, both)
    if (!both.has(turned)) both.set(turned, table)
  }

  /** The table, if a product of the same graph has stored it and the rank of the indices is known. */
  of(view: GraphView, { node, table: weight, through }: Lookup): Tied | undefined {
    const table = this.#tables
      .get(view.graph)
      ?.get(weight)
      ?.get(through !== undefined)
    if (table === undefined) return undefined
    const rank = this.#rankIn(view)(node.input[1] ?? '')
    return rank === undefined ? undefined : { table, rank }
  }

  #rankIn(view: GraphView): (value: string) => number | undefined {
    const known = this.#ranks.get(view)
    if (known) return known
    const types = inferTypes(view.model)
    const rankOf = (value: string): number | undefined => types.of(view.graph, value).shape?.length
    this.#ranks.set(view, rankOf)
    return rankOf
  }
}
