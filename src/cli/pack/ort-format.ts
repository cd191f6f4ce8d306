/**
 * Makes ORT-format models byte for byte reproducible.
 *
 * ONNX Runtime writes one part of them, the table of kernel type names, in the order of a hash map with a different
 * seed in each process, so each conversion of the same model has another digest. `canonicalOrt` sorts that table and
 * leaves the model unchanged. The layout is ONNX Runtime's `ort.fbs`, version 6:
 *
 *     InferenceSession        { 0 ort_version, 1 model, 2 (deprecated), 3 kernel_type_str_resolver }
 *     KernelTypeStrResolver   { 0 op_kernel_type_str_args: [OpIdKernelTypeStrArgsEntry] }
 *     OpIdKernelTypeStrArgsEntry { 0 op_id: string, 1 kernel_type_str_args: [KernelTypeStrArgsEntry] }
 *     KernelTypeStrArgsEntry  { 0 kernel_type_str: string, 1 args: [ArgTypeAndIndex] }
 *     ArgTypeAndIndex         { 0 arg_type: byte, 1 index: uint32 }
 *
 * A FlatBuffer is written from its end to its beginning, and the session's own table and the kernels' come last: so a
 * file is a head, which is replaced, and a tail (version and model), which is the same in every process.
 */

const IDENTIFIER = 'ORTM'
const VERSION_FIELD = 0
const MODEL_FIELD = 1
const DEPRECATED_FIELD = 2
const RESOLVER_FIELD = 3

/** What numbers in the tail are aligned to, counted from the end of the file, which is padded to it. */
const ALIGNMENT = 8

interface Argument {
  readonly type: number
  readonly index: number
}
interface KernelType {
  readonly name: string
  readonly args: readonly Argument[]
}
interface Operator {
  readonly id: string
  readonly types: readonly KernelType[]
}

/**
 * @param bytes an ORT-format model
 * @returns the same model with its kernels' type names sorted, or null if the layout is not the one known here; the
 * bytes are no less a model then, but not reproducible
 */
export function canonicalOrt(bytes: Uint8Array): Uint8Array<ArrayBuffer> | null {
  const reader = new FlatReader(bytes)
  if (reader.identifier() !== IDENTIFIER) return null
  const root = reader.root()
  const [version, model, deprecated, resolver] = [VERSION_FIELD, MODEL_FIELD, DEPRECATED_FIELD, RESOLVER_FIELD].map(
    (index) => reader.field(root, index),
  ) as [number, number, number, number]
  if (version === 0 || model === 0 || resolver === 0 || deprecated !== 0) return null

  const tail = reader.start(reader.follow(model))
  reader.tail = tail
  const operators = readResolver(reader, reader.follow(resolver))
  if (root >= tail || reader.end > tail || reader.follow(version) < tail) return null

  const head = new FlatWriter()
  head.identifier(IDENTIFIER)
  const fields = head.table(['offset', 'offset', 'absent', 'offset'])
  writeResolver(head, fields[RESOLVER_FIELD] as number, operators)
  head.padFor(bytes.length - tail)
  const moved = head.length - tail
  head.point(fields[VERSION_FIELD] as number, reader.follow(version) + moved)
  head.point(fields[MODEL_FIELD] as number, reader.follow(model) + moved)

  const result = new Uint8Array(head.length + bytes.length - tail)
  result.set(head.bytes())
  result.set(bytes.subarray(tail), head.length)
  return result
}

/** Reads FlatBuffers by offset, noting how far the objects read so far reach. */
class FlatReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  /** Where the part begins that stays. */
  tail = Number.POSITIVE_INFINITY
  #end = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** The end of the last object noted. */
  get end(): number {
    return this.#end
  }

  identifier(): string {
    return this.#bytes.length < 8 ? '' : new TextDecoder().decode(this.#bytes.subarray(4, 8))
  }

  root(): number {
    return this.follow(0)
  }

  follow(at: number): number {
    return at + this.#view.getUint32(at, true)
  }

  /** Where a table begins: at its vtable, if that was written with it, right before it. */
  start(table: number): number {
    const vtable = this.#vtable(table)
    return vtable < table ? vtable : table
  }

  /** Where a table's field lies, or 0 if it has none. */
  field(table: number, index: number): number {
    const vtable = this.#vtable(table)
    const slot = 4 + 2 * index
    if (slot >= this.#view.getUint16(vtable, true)) return 0
    const offset = this.#view.getUint16(vtable + slot, true)
    return offset === 0 ? 0 : table + offset
  }

  note(table: number): void {
    const vtable = this.#vtable(table)
    this.#reach(table + this.#view.getUint16(vtable + 2, true))
  }

  string(table: number, index: number): string {
    const field = this.field(table, index)
    if (field === 0) return ''
    const at = this.follow(field)
    const length = this.#view.getUint32(at, true)
    // ONNX Runtime writes equal strings once: one that the model has too, such as a value called `y`, lies in the tail.
    if (at < this.tail) this.#reach(at + 4 + length + 1)
    return new TextDecoder().decode(this.#bytes.subarray(at + 4, at + 4 + length))
  }

  vector<T>(table: number, index: number, item: (at: number) => T): T[] {
    const field = this.field(table, index)
    if (field === 0) return []
    const at = this.follow(field)
    const length = this.#view.getUint32(at, true)
    this.#reach(at + 4 + 4 * length)
    return Array.from({ length }, (_, slot) => item(this.follow(at + 4 + 4 * slot)))
  }

  uint8(table: number, index: number): number {
    const field = this.field(table, index)
    return field === 0 ? 0 : this.#view.getUint8(field)
  }

  uint32(table: number, index: number): number {
    const field = this.field(table, index)
    return field === 0 ? 0 : this.#view.getUint32(field, true)
  }

  #vtable(table: number): number {
    return table - this.#view.getInt32(table, true)
  }

  #reach(end: number): void {
    this.#end = Math.max(this.#end, end)
  }
}

function readResolver(reader: FlatReader, resolver: number): Operator[] {
  reader.note(resolver)
  return reader.vector(resolver, 0, (operator) => {
    reader.note(operator)
    return {
      id: reader.string(operator, 0),
      types: reader.vector(operator, 1, (type) => {
        reader.note(type)
        return {
          name: reader.string(type, 0),
          args: reader.vector(type, 1, (argument) => {
            reader.note(argument)
            return { type: reader.uint8(argument, 0), index: reader.uint32(argument, 1) }
          }),
        }
      }),
    }
  })
}

/** Code-unit order: the order of UTF-8 bytes for the ASCII names that operators have. */
function byKey<T>(key: (item: T) => string): (left: T, right: T) => number {
  return (left, right) => (key(left) < key(right) ? -1 : key(left) > key(right) ? 1 : 0)
}

function writeResolver(writer: FlatWriter, from: number, operators: readonly Operator[]): void {
  const [list] = writer.table(['offset'], from) as [number]
  const entries = writer.vector(list, operators.length)
  const sorted = [...operators].sort(byKey((operator) => operator.id))
  sorted.forEach((operator, index) => {
    const [id, types] = writer.table(['offset', 'offset'], entries[index]) as [number, number]
    writer.string(id, operator.id)
    const slots = writer.vector(types, operator.types.length)
    const kernelTypes = [...operator.types].sort(byKey((type) => type.name))
    kernelTypes.forEach((type, place) => {
      const [name, args] = writer.table(['offset', 'offset'], slots[place]) as [number, number]
      writer.string(name, type.name)
      const argumentSlots = writer.vector(args, type.args.length)
      type.args.forEach((argument, at) => {
        const [kind, position] = writer.table(['uint8', 'uint32'], argumentSlots[at]) as [number, number]
        writer.setUint8(kind, argument.type)
        writer.setUint32(position, argument.index)
      })
    })
  })
}

type FieldKind = 'offset' | 'uint8' | 'uint32' | 'absent'

/** Writes FlatBuffers forwards, every table with a vtable of its own; each field takes four bytes, whatever it holds. */
class FlatWriter {
  #bytes = new Uint8Array(4096)
  #view = new DataView(this.#bytes.buffer)
  /** A FlatBuffer begins with the offset to its root table. */
  #length = 4

  get length(): number {
    return this.#length
  }

  identifier(text: string): void {
    const at = this.#take(4)
    this.#bytes.set(new TextEncoder().encode(text), at)
  }

  /** Writes a table and points `from` at it. @returns where its fields lie; 0 for those absent */
  table(fields: readonly FieldKind[], from = 0): number[] {
    const size = 4 + 4 * fields.length
    const vtable = this.#take(Math.ceil((4 + 2 * fields.length) / 4) * 4)
    const table = this.#take(size)
    this.#view.setUint16(vtable, 4 + 2 * fields.length, true)
    this.#view.setUint16(vtable + 2, size, true)
    fields.forEach((kind, index) => {
      if (kind !== 'absent') this.#view.setUint16(vtable + 4 + 2 * index, 4 + 4 * index, true)
    })
    this.#view.setInt32(table, table - vtable, true)
    this.point(from, table)
    return fields.map((kind, index) => (kind === 'absent' ? 0 : table + 4 + 4 * index))
  }

  /** Writes a vector of offsets. @returns where its elements lie */
  vector(from: number, length: number): number[] {
    const at = this.#take(4 + 4 * length)
    this.#view.setUint32(at, length, true)
    this.point(from, at)
    return Array.from({ length }, (_, index) => at + 4 + 4 * index)
  }

  string(from: number, text: string): void {
    const utf8 = new TextEncoder().encode(text)
    const at = this.#take(Math.ceil((4 + utf8.length + 1) / 4) * 4)
    this.#view.setUint32(at, utf8.length, true)
    this.#bytes.set(utf8, at + 4)
    this.point(from, at)
  }

  setUint8(at: number, value: number): void {
    this.#view.setUint8(at, value)
  }

  setUint32(at: number, value: number): void {
    this.#view.setUint32(at, value, true)
  }

  point(from: number, to: number): void {
    this.#view.setUint32(from, to - from, true)
  }

  /** Pads so that a file that ends with `tailBytes` more bytes has its alignment. */
  padFor(tailBytes: number): void {
    this.#take((ALIGNMENT - ((this.#length + tailBytes) % ALIGNMENT)) % ALIGNMENT)
  }

  bytes(): Uint8Array {
    return this.#bytes.slice(0, this.#length)
  }

  #take(bytes: number): number {
    const at = this.#length
    this.#length += bytes
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(this.#length * 2)
      larger.set(this.#bytes)
      this.#bytes = larger
      this.#view = new DataView(larger.buffer)
    }
    return at
  }
}
