import { type GraphView, graphsOf } from '../../onnx/graph.ts'
import type { ModelProto, NodeProto, TensorProto } from '../../onnx/schema/onnx_pb.js'
import { constantLookup, type Lookup } from '../shared/lookups.ts'
import { nameOf } from '../shared/weights.ts'
import { bytesInEight } from './embedding-int8.ts'

/** What the tables of a model of eight bits can be kept in. */
export const TABLE_FORMS = ['int8', 'int4', 'low-rank'] as const
export type TableForm = (typeof TABLE_FORMS)[number]

/** How lookup tables are stored, where that differs from the precision of the products. */
export interface TableOptions {
  readonly form: TableForm
  /** Tables that take fewer bytes in eight bits stay in eight bits. 0 if left out. */
  readonly leastBytes?: number
  /** For `low-rank`: the rank of every table, in the place of the least that keeps enough. */
  readonly rank?: number | undefined
  /** For `low-rank`: share of a table's sum of squares that may be lost. 0.01 if left out, which is 20 dB. */
  readonly loss?: number | undefined
}

/** A table that nothing but lookups reads. */
export interface Table {
  readonly tensor: TensorProto
  readonly rows: number
  readonly columns: number
  readonly nodes: readonly NodeProto[]
}

export interface Tables {
  readonly free: readonly Table[]
  /** Tables that are read otherwise too: the last layer of a language model often is its table, transposed. */
  readonly tied: readonly { readonly tensor: TensorProto; readonly reader: string }[]
}

/** Tables below this share of the largest, of positions and the like, save little. */
const SMALL = 1 / 16

/** The tables whose form can be chosen: they are large, and nothing else reads them. */
export function tablesOf(
  model: ModelProto,
  select: (node: NodeProto) => boolean,
  { leastBytes = 0 }: Pick<TableOptions, 'leastBytes'>,
): Tables {
  const found = new Map<TensorProto, Table>()
  const others = new Map<TensorProto, string>()
  for (const view of graphsOf(model)) {
    for (const node of view.graph.node) {
      const lookup = lookupIn(view, node)
      if (lookup) {
        const { table: tensor, rows, columns } = lookup
        found.set(tensor, { tensor, rows, columns, nodes: [...(found.get(tensor)?.nodes ?? []), node] })
      }
      for (const [index, value] of node.input.entries()) {
        const tensor = view.constant(value)
        if (tensor && !(lookup && index === 0) && !others.has(tensor)) others.set(tensor, nameOf(node))
      }
    }
    for (const { name } of view.graph.output) {
      const tensor = view.constant(name)
      if (tensor) others.set(tensor, 'an output')
    }
  }
  const bytesOf = ({ rows, columns }: Table): number => bytesInEight(rows, columns)
  const tables = [...found.values()]
  const most = Math.max(0, ...tables.map(bytesOf))
  const large = tables.filter(
    (table) => bytesOf(table) >= Math.max(leastBytes, most * SMALL) && table.nodes.every((node) => select(node)),
  )
  return {
    free: large.filter(({ tensor }) => !others.has(tensor)),
    tied: large.flatMap(({ tensor }) => {
      const reader = others.get(tensor)
      return reader ? [{ tensor, reader }] : []
    }),
  }
}

function lookupIn(view: GraphView, node: NodeProto): Lookup | undefined {
  const lookup = constantLookup(view, node)
  return lookup === undefined || 'reason' in lookup || lookup.through ? undefined : lookup
}

/** Names of the nodes that look tables up. */
export function nodesOf(tables: readonly Table[]): ReadonlySet<string> {
  return new Set(tables.flatMap(({ nodes }) => nodes.map(nameOf)))
}
