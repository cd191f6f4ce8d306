import { DataType, dimsOf, elementBits, integersOf, makeTensor, rawBytesOf } from '../../onnx/data.ts'
import { nodeLabel, OnnxError, safeName } from '../../onnx/errors.ts'
import type { GraphView } from '../../onnx/graph.ts'
import { makeNode } from '../../onnx/make.ts'
import type { Patch } from '../../onnx/pass.ts'
import type { NodeProto, TensorProto } from '../../onnx/schema/onnx_pb.js'
import type { TokenUses } from './token-uses.ts'

export interface TrimmedTable {
  readonly name: string
  readonly rows: number
  readonly bytesBefore: number
  readonly bytesAfter: number
}

export interface Trimming {
  readonly patch: Patch
  readonly tables: readonly TrimmedTable[]
  /** Whether nodes read the old numbers from a table. */
  readonly mapped: boolean
}

type Fresh = (base: string) => string

/** @throws OnnxError unsupported, bad_options: see `trimVocabulary` */
export function trimmingPatch(view: GraphView, uses: TokenUses, kept: Int32Array, fresh: Fresh): Trimming {
  const tables = sharedBy(view, uses)
  const initializers: TensorProto[] = []
  const trimmed: TrimmedTable[] = []
  for (const table of tables) {
    const rows = keptRows(table, kept)
    initializers.push(rows)
    trimmed.push({
      name: table.name,
      rows: Number(table.dims[0]),
      bytesBefore: rawBytesOf(table).length,
      bytesAfter: rawBytesOf(rows).length,
    })
  }
  const edits = new Map<NodeProto, Map<number, string>>()
  const edit = (node: NodeProto, index: number, value: string): void => {
    edits.set(node, (edits.get(node) ?? new Map<number, string>()).set(index, value))
  }
  // Where no token goes, numbers stay as they are.
  const renumbers = kept.some((id, place) => id !== place)
  for (const { constant, index, node } of renumbers ? uses.comparisons : []) {
    const renumbered = numberedAnew(constant, kept, fresh)
    initializers.push(renumbered)
    edit(node, index, renumbered.name)
  }
  const added: NodeProto[] = []
  const old = new OldNumbers(kept, fresh)
  for (const { index, node, type, value } of renumbers ? uses.others : []) edit(node, index, old.of(value, type))
  initializers.push(...old.tables)
  added.push(...old.nodes)
  for (const [node, inputs] of edits) {
    added.push({ ...node, input: node.input.map((value, index) => inputs.get(index) ?? value) })
  }
  return {
    patch: { what: `keep ${kept.length} tokens`, remove: [...edits.keys()], add: added, initializers },
    tables: trimmed,
    mapped: old.nodes.length > 0,
  }
}

/** Tables that lookups alone read. @throws OnnxError unsupported where one has another reader */
function sharedBy(view: GraphView, { lookups }: TokenUses): Set<TensorProto> {
  const tables = lookups.flatMap((lookup) => lookup.tables)
  const known = new Set(tables.flatMap(({ path }) => path))
  const refuseOthers = (value: string, table: TensorProto): void => {
    if (view.isOutput(value)) throw shared(table.name, 'The caller')
    const other = view.uses(value).find(({ node, index }) => index === -1 || !known.has(node))
    if (other !== undefined) throw shared(table.name, nodeLabel(other.node))
  }
  for (const { path, tensor } of tables) {
    refuseOthers(tensor.name, tensor)
    // What is made of a whole table may have readers that look up nothing.
    for (const node of path.slice(0, -1)) refuseOthers(node.output[0] ?? '', tensor)
  }
  return new Set(tables.map(({ tensor }) => tensor))
}

function shared(table: string, reader: string): OnnxError {
  return new OnnxError(
    'unsupported',
    `${reader} reads the table of tokens "${safeName(table)}" too, as the last layer of a language model does. Such a vocabulary cannot be trimmed. Remove the options that trim it.`,
    { node: table },
  )
}

/** The rows of tokens that stay, copied once. */
function keptRows(table: TensorProto, kept: Int32Array): TensorProto {
  const [rows = 0, ...rest] = dimsOf(table)
  const last = kept.at(-1) ?? -1
  if (last >= rows) {
    throw new OnnxError(
      'bad_options',
      `The table "${safeName(table.name)}" has ${rows} rows, but the tokenizer has a token with the number ${last}. Give the tokenizer that belongs to the model.`,
      { node: table.name },
    )
  }
  const bits = rest.reduce((product, size) => product * size, elementBits(table.dataType))
  if (bits % 8 !== 0) {
    throw new OnnxError(
      'unsupported',
      `A row of the table "${safeName(table.name)}" ends within a byte, so the vocabulary cannot be trimmed. Give the model before quantization.`,
      { node: table.name },
    )
  }
  const width = bits / 8
  const from = rawBytesOf(table)
  const to = new Uint8Array(kept.length * width)
  for (let first = 0; first < kept.length; ) {
    let end = first + 1
    while (end < kept.length && kept[end] === (kept[first] ?? 0) + end - first) end++
    const start = (kept[first] ?? 0) * width
    to.set(from.subarray(start, start + (end - first) * width), first * width)
    first = end
  }
  return makeTensor(table.name, table.dataType, [kept.length, ...rest], to)
}

/** A constant with the new numbers of its tokens; -1, which no token has, for tokens that are gone. */
function numberedAnew(constant: TensorProto, kept: Int32Array, fresh: Fresh): TensorProto {
  const numbers = integersOf(constant).map((number) => kept.indexOf(number))
  const data = constant.dataType === DataType.INT32 ? Int32Array.from(numbers) : BigInt64Array.from(numbers, BigInt)
  return makeTensor(fresh(`${constant.name}_kept`), constant.dataType, dimsOf(constant), data)
}

/** Old numbers of tokens from the new ones. */
class OldNumbers {
  readonly tables: TensorProto[] = []
  readonly nodes: NodeProto[] = []
  readonly #kept: Int32Array
  readonly #fresh: Fresh
  readonly #values = new Map<string, string>()
  readonly #names = new Map<DataType, string>()

  constructor(kept: Int32Array, fresh: Fresh) {
    this.#kept = kept
    this.#fresh = fresh
  }

  /** The name of the value with the old numbers. */
  of(value: string, type: DataType): string {
    const known = this.#values.get(value)
    if (known !== undefined) return known
    const output = this.#fresh(`${value}_before`)
    this.#values.set(value, output)
    const inputs = [this.#table(type), value]
    this.nodes.push(makeNode({ op: 'Gather', name: output, inputs, outputs: [output] }))
    return output
  }

  #table(type: DataType): string {
    const known = this.#names.get(type)
    if (known !== undefined) return known
    const name = this.#fresh('tokens_before')
    this.#names.set(type, name)
    const data = type === DataType.INT32 ? this.#kept : BigInt64Array.from(this.#kept, BigInt)
    this.tables.push(makeTensor(name, type, [this.#kept.length], data))
    return name
  }
}
