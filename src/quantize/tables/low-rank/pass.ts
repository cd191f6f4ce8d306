import { DataType, makeTensor } from '../../../onnx/data.ts'
import { safeName } from '../../../onnx/errors.ts'
import { makeNode } from '../../../onnx/make.ts'
import type { Pass } from '../../../onnx/pass.ts'
import type { NodeProto, TensorProto } from '../../../onnx/schema/onnx_pb.js'
import { FloatWeights } from '../../shared/floats.ts'
import { constantLookup } from '../../shared/lookups.ts'
import { finiteWeight, layerResult, nameOf, Readers } from '../../shared/weights.ts'
import type { LayerResult, QuantizeEnv } from '../../types.ts'
import { bytesInEight, Int8Table } from '../embedding-int8.ts'
import type { Table, TableOptions } from '../tables.ts'
import { bytesFactored, type Factors, spectrumOf } from './factors.ts'

/** Wider tables take minutes: the work on their columns grows with the third power. */
const MOST_COLUMNS = 1024
/** 20 dB, which is what four bits keep. */
const LOSS = 0.01
/** Share of the bytes of 8 bits: factors that are not smaller than this are not worth their loss, unless a rank is asked for. */
const WORTH = 0.9

/** Tables that become products of two smaller ones. */
export interface LowRank {
  readonly pass: Pass
  readonly tables: readonly Table[]
  /** What was done to each table, or why nothing was. */
  readonly notes: readonly string[]
}

/**
 * Finds the tables that are smaller as two factors than in eight bits: one that rows are looked up in, in eight bits, and
 * one that the rows are multiplied by, in floats.
 * @throws OnnxError bad_weights where a table has NaN or infinity; the signal's reason
 */
export async function lowRank(
  tables: readonly Table[],
  { rank, loss = LOSS }: Pick<TableOptions, 'rank' | 'loss'>,
  env: QuantizeEnv,
  record: (layer: LayerResult) => void,
): Promise<LowRank> {
  const factored = new Map<Table, Factors>()
  const notes: string[] = []
  for (const table of tables) {
    const { tensor, rows, columns, nodes } = table
    const what = `table "${safeName(tensor.name)}" (${rows} x ${columns})`
    if (columns > MOST_COLUMNS) {
      notes.push(
        `${what} stays in 8 bits: it has more than ${MOST_COLUMNS} columns, and factors would take too long to find`,
      )
      continue
    }
    const spectrum = await spectrumOf(
      {
        floats: finiteWeight(tensor, nodes[0] as NodeProto),
        columns,
        engine: env.engine,
        signal: env.signal,
        progress: (done) => env.progress?.('factors of tables', done, rows),
      },
      rank === undefined ? { loss } : { rank },
    )
    const kept = `rank ${spectrum.rank} of ${columns} keeps ${percent(1 - spectrum.beyond / (spectrum.signal || 1))} of it`
    const [bytes, eight] = [bytesFactored(rows, columns, spectrum.rank), bytesInEight(rows, columns)]
    if (bytes >= eight * (rank === undefined ? WORTH : 1)) {
      notes.push(
        `${what} stays in 8 bits: ${kept}, and as two factors it would take ${bytes} bytes instead of ${eight}`,
      )
      continue
    }
    notes.push(`${what} is stored as two factors: ${kept}; ${bytes} bytes instead of ${eight} in 8 bits`)
    factored.set(table, await spectrum.factors())
  }
  return { pass: replacing(factored, record), tables: [...factored.keys()], notes }
}

function percent(share: number): string {
  return `${(100 * share).toFixed(2)} %`
}

/** Each lookup in a table becomes a lookup in its left factor and a product with the right one. */
function replacing(factored: ReadonlyMap<Table, Factors>, record: (layer: LayerResult) => void): Pass {
  const byNode = new Map(
    [...factored].flatMap(([table, factors]) => table.nodes.map((node) => [nameOf(node), factors])),
  )
  const halves = new Map<Factors, Int8Table>()
  const freed = new Set<TensorProto>()
  return {
    name: 'low-rank tables',
    *propose(view, { namer }) {
      const fresh = (base: string): string => namer.fresh(base)
      const readers = new Readers(view, freed)
      const named = new Map<Factors, readonly string[]>()
      yield* readers.sweep()
      for (const node of view.graph.node) {
        const factors = byNode.get(nameOf(node))
        const lookup = factors && constantLookup(view, node)
        if (factors === undefined || lookup === undefined || 'reason' in lookup) continue
        const { rank, left, right, signal, beyond } = factors
        const { table, rows, columns } = lookup
        const half = halves.get(factors) ?? new Int8Table(leftOf(lookup, rank), new FloatWeights(left))
        halves.set(factors, half)
        const initializers = named.has(factors)
          ? []
          : [
              ...half.initializers(fresh),
              makeTensor(fresh(`${table.name}_right`), DataType.FLOAT, [rank, columns], right),
            ]
        const names = named.get(factors) ?? initializers.map(({ name }) => name)
        named.set(factors, names)
        const found = fresh(`${node.output[0]}_left`)
        yield {
          what: `rank ${rank} ${nameOf(node)}`,
          remove: [node],
          add: [
            ...half.lookup({ ...node, output: [found] }, names, fresh),
            makeNode({
              op: 'MatMul',
              inputs: [found, names.at(-1) ?? ''],
              outputs: [...node.output],
              name: fresh(`${nameOf(node)}_right`),
            }),
          ],
          initializers,
          removeInitializers: readers.replace(table),
        }
        record(
          layerResult(node, table, {
            to: `int8 rank ${rank}`,
            elements: rows * columns,
            bytesAfter: half.bytes + 4 * right.length,
            loss: { signal, noise: beyond + half.loss.noise },
          }),
        )
      }
    },
  }
}

function leftOf(lookup: ConstructorParameters<typeof Int8Table>[0], rank: number) {
  const { table, rows } = lookup
  return {
    ...lookup,
    columns: rank,
    table: { ...table, name: `${table.name}_left`, dims: [BigInt(rows), BigInt(rank)] },
  }
}
