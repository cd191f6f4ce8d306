import { type DescField, type DescMessage, ScalarType } from '@bufbuild/protobuf'
import { OnnxError } from './errors.ts'

/** Messages inside each other; protobuf's readers in C++ (so ONNX Runtime) and JavaScript stop at the same depth. */
const MAX_DEPTH = 100

/**
 * Bytes of objects that decoding may make, beside the file itself, of which tensors' raw data stays a view. A file of
 * empty messages takes some 200 times its size; models that store their weights as raw data take a few megabytes.
 */
const MAX_OBJECT_BYTES = 2 ** 30

/** Measured in V8, rounded up: an element of a list of numbers, of 64-bit numbers, of strings and of byte strings. */
const COST = { number: 24, long: 40, string: 36, bytes: 120, unknown: 168 } as const

const VARINT = 0
const FIXED64 = 1
const DELIMITED = 2
const FIXED32 = 5

interface FieldPlan {
  readonly wire: number
  /** Whether several elements may stand in one delimited field. */
  readonly packable: boolean
  /** Bytes of objects for each element. */
  readonly cost: number
  readonly message: DescMessage | undefined
}

interface MessagePlan {
  readonly fields: ReadonlyMap<number, FieldPlan>
  readonly cost: number
}

const plans = new WeakMap<DescMessage, MessagePlan>()

function planOf(message: DescMessage): MessagePlan {
  const known = plans.get(message)
  if (known) return known
  const lists = message.fields.filter(({ fieldKind }) => fieldKind === 'list').length
  const plan: MessagePlan = {
    fields: new Map(message.fields.map((field) => [field.number, fieldPlan(field)])),
    cost: 56 + 8 * message.fields.length + 32 * lists,
  }
  plans.set(message, plan)
  return plan
}

function fieldPlan(field: DescField): FieldPlan {
  if (field.fieldKind === 'map') throw new Error('The schema of ONNX has no maps.')
  const list = field.fieldKind === 'list'
  const kind = list ? field.listKind : field.fieldKind
  if (kind === 'message') return { wire: DELIMITED, packable: false, cost: 0, message: field.message }
  switch (field.scalar ?? ScalarType.INT32) {
    case ScalarType.STRING:
      return { wire: DELIMITED, packable: false, cost: COST.string, message: undefined }
    case ScalarType.BYTES:
      return { wire: DELIMITED, packable: false, cost: COST.bytes, message: undefined }
    case ScalarType.FLOAT:
      return { wire: FIXED32, packable: list, cost: COST.number, message: undefined }
    case ScalarType.DOUBLE:
      return { wire: FIXED64, packable: list, cost: COST.number, message: undefined }
    case ScalarType.INT64:
    case ScalarType.UINT64:
      return { wire: VARINT, packable: list, cost: COST.long, message: undefined }
    default:
      return { wire: VARINT, packable: list, cost: COST.number, message: undefined }
  }
}

/**
 * Walks over a message without decoding it: every length lies within what is around it, nothing is nested too deep, and
 * the objects that decoding makes stay within `MAX_OBJECT_BYTES`. Stricter than the decoder, which lets a message run
 * over the end of the one around it. Takes no memory to speak of and skips raw data.
 * @throws OnnxError malformed, too_large
 */
export function checkWire(bytes: Uint8Array, root: DescMessage): void {
  const open: { readonly plan: MessagePlan; readonly end: number }[] = [{ plan: planOf(root), end: bytes.length }]
  let pos = 0
  let cost = 0

  for (let current = open.at(-1); current !== undefined; current = open.at(-1)) {
    const { plan, end } = current
    if (pos === end) {
      open.pop()
      continue
    }
    const start = pos
    const tag = uint32(end)
    const wire = tag & 7
    const field = plan.fields.get(tag >>> 3)
    if (tag >>> 3 === 0) throw malformed('a field without a number', start)
    const packed = field?.packable === true && wire === DELIMITED
    if (field !== undefined && field.wire !== wire && !packed) throw malformed('a field of another type', start)
    cost += field?.cost ?? COST.unknown
    if (wire === DELIMITED) {
      const length = uint32(end)
      if (length > end - pos) throw malformed('a field that ends after its message', start)
      if (field?.message !== undefined) {
        if (open.length === MAX_DEPTH) throw malformed(`more than ${MAX_DEPTH} levels of nesting`, start)
        const inner = planOf(field.message)
        cost += inner.cost
        open.push({ plan: inner, end: pos + length })
      } else {
        if (packed) cost += field.cost * elements(field.wire, length, start)
        else if (field?.cost === COST.string) cost += length
        pos += length
      }
    } else if (wire === VARINT) {
      skipVarint(end, start)
    } else if (wire === FIXED32 || wire === FIXED64) {
      pos += wire === FIXED32 ? 4 : 8
      if (pos > end) throw malformed('a truncated number', start)
    } else {
      throw malformed('a field of an unknown kind', start)
    }
    if (cost > MAX_OBJECT_BYTES) {
      throw new OnnxError(
        'too_large',
        'The model has too many small fields for the memory. Export it with its weights as raw data.',
      )
    }
  }

  function uint32(end: number): number {
    let value = 0
    for (let scale = 1; scale <= 2 ** 28 && pos < end; scale *= 128) {
      const byte = bytes[pos++] as number
      value += (byte & 127) * scale
      if (byte < 128) {
        if (value < 2 ** 32) return value
        break
      }
    }
    throw malformed('a length that is truncated or too long', pos)
  }

  function skipVarint(end: number, start: number): void {
    for (let count = 0; count < 10 && pos < end; count++) if ((bytes[pos++] as number) < 128) return
    throw malformed('a number that is truncated or too long', start)
  }

  /** Elements of a packed list of `length` bytes from `pos` on. */
  function elements(wire: number, length: number, start: number): number {
    if (wire !== VARINT) {
      const size = wire === FIXED32 ? 4 : 8
      if (length % size !== 0) throw malformed('a truncated list', start)
      return length / size
    }
    let count = 0
    for (let at = pos; at < pos + length; at++) if ((bytes[at] as number) < 128) count++
    if (length > 0 && (bytes[pos + length - 1] as number) >= 128) throw malformed('a truncated list', start)
    return count
  }
}

function malformed(what: string, at: number): OnnxError {
  return new OnnxError(
    'malformed',
    `This is not an ONNX file, or the file is damaged or truncated: byte ${at} begins ${what}. Download or export it again.`,
  )
}
