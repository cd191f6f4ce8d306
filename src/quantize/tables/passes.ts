import { safeName } from '../../onnx/errors.ts'
import type { Pass } from '../../onnx/pass.ts'
import type { ModelProto, NodeProto } from '../../onnx/schema/onnx_pb.js'
import type { Ties } from '../products/ties.ts'
import type { BlockSize } from '../shared/blocks.ts'
import { nameOf } from '../shared/weights.ts'
import type { LayerResult, QuantizeEnv, SkippedLayer } from '../types.ts'
import { embeddings } from './embeddings.ts'
import { lowRank } from './low-rank/pass.ts'
import { nodesOf, type TableOptions, tablesOf } from './tables.ts'

export interface TablePassOptions {
  readonly record: (layer: LayerResult) => void
  readonly skip: (layer: SkippedLayer) => void
  readonly select: (node: NodeProto) => boolean
  readonly ties: Ties
  readonly blockSize: BlockSize | undefined
  readonly symmetric?: boolean
  readonly note: (note: string) => void
}

export interface TablePasses {
  /** Lookups that stay lookups. After the products: a lookup reads what a product of the same weight has stored. */
  readonly looked: readonly Pass[]
  /** Lookups that become products too. Last, so that no other pass takes these products. */
  readonly factored: readonly Pass[]
}

/** The passes that store the tables of a model of eight bits as asked. */
export async function tablePasses(
  model: ModelProto,
  { record, skip, select, ties, blockSize, symmetric, note }: TablePassOptions,
  tables: TableOptions = { form: 'int8' },
  env: QuantizeEnv,
): Promise<TablePasses> {
  const common = { record, skip, ties }
  const eight = (but: ReadonlySet<string>): Pass =>
    embeddings({ ...common, bits: 8, select: (node) => select(node) && !but.has(nameOf(node)) })
  if (tables.form === 'int8') return { looked: [eight(new Set())], factored: [] }
  const { free, tied } = tablesOf(model, select, tables)
  for (const { tensor, reader } of tied) {
    note(`table "${safeName(tensor.name)}" stays as the products have it: "${safeName(reader)}" reads it too`)
  }
  if (free.length === 0) note(`no table is stored as ${tables.form}: the model has none that is large enough`)
  if (tables.form === 'int4') {
    const chosen = nodesOf(free)
    const four = embeddings({
      ...common,
      bits: 4,
      ...(blockSize && { blockSize }),
      ...(symmetric !== undefined && { symmetric }),
      select: (node) => select(node) && chosen.has(nameOf(node)),
    })
    return { looked: [four, eight(chosen)], factored: [] }
  }
  const found = await lowRank(free, tables, env, record)
  for (const line of found.notes) note(line)
  return { looked: [eight(nodesOf(found.tables))], factored: [found.pass] }
}
