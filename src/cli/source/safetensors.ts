import { type FileHandle, open } from 'node:fs/promises'
import { isObject } from '../../core/objects.ts'
import { safeName } from '../../onnx/errors.ts'
import { UsageError } from '../terminal/command-line.ts'
import { SOURCE_LIMITS } from './limits.ts'

/** Bytes of an element, by the format's names for datatypes. */
const ELEMENT_BYTES: Readonly<Record<string, number>> = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  U16: 2,
  I16: 2,
  F16: 2,
  BF16: 2,
  U32: 4,
  I32: 4,
  F32: 4,
  U64: 8,
  I64: 8,
  F64: 8,
}

/** A tensor of a safetensors file: row-major, little-endian. */
export interface StoredTensor {
  readonly name: string
  readonly dtype: string
  readonly shape: readonly number[]
  /** Where its bytes begin in the file. */
  readonly offset: number
  readonly bytes: number
}

const LENGTH_BYTES = 8

/**
 * The tensors of a safetensors file, by name. Nothing but its header is read, and its length is checked first; the tensors
 * have to fill the rest of the file one after the other, as the format says, and each as its shape does.
 * @throws UsageError for a file that is damaged, cut off, or none
 */
export async function readSafetensors(path: string, label: string): Promise<ReadonlyMap<string, StoredTensor>> {
  const file = await open(path)
  try {
    const { size } = await file.stat()
    const length = await headerLength(file, size, label)
    const text = (await readRange(file, LENGTH_BYTES, length)).toString('utf8')
    return tensorsOf(headerOf(text, label), LENGTH_BYTES + length, size, label)
  } finally {
    await file.close()
  }
}

async function headerLength(file: FileHandle, size: number, label: string): Promise<number> {
  if (size < LENGTH_BYTES) throw damaged(label, 'it is too short for a header')
  const length = (await readRange(file, 0, LENGTH_BYTES)).readBigUInt64LE(0)
  const most = SOURCE_LIMITS.safetensorsHeaderBytes
  if (length > BigInt(most)) throw damaged(label, `its header would have ${length} bytes, and the limit is ${most}`)
  if (LENGTH_BYTES + Number(length) > size) throw damaged(label, 'it ends inside of its header')
  return Number(length)
}

async function readRange(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset)
  return buffer.subarray(0, bytesRead)
}

function headerOf(text: string, label: string): Readonly<Record<string, unknown>> {
  let header: unknown
  try {
    header = JSON.parse(text)
  } catch {
    throw damaged(label, 'its header is not JSON')
  }
  if (!isObject(header)) throw damaged(label, 'its header is not a JSON object')
  return header
}

/** @param start where the tensors begin in the file */
function tensorsOf(
  header: Readonly<Record<string, unknown>>,
  start: number,
  size: number,
  label: string,
): Map<string, StoredTensor> {
  const tensors = Object.entries(header)
    .filter(([name]) => name !== '__metadata__')
    .map(([name, entry]) => tensorOf(name, entry, start, label))
    .sort((left, right) => left.offset - right.offset || left.bytes - right.bytes)
  let end = start
  for (const { bytes, name, offset } of tensors) {
    if (offset !== end) throw damaged(label, `its tensor "${safeName(name)}" does not begin where the one before ends`)
    end = offset + bytes
  }
  if (end !== size) throw damaged(label, `its tensors end at byte ${end}, and the file at byte ${size}`)
  return new Map(tensors.map((tensor) => [tensor.name, tensor]))
}

function tensorOf(name: string, entry: unknown, start: number, label: string): StoredTensor {
  const wrong = (what: string): UsageError => damaged(label, `its tensor "${safeName(name)}" has ${what}`)
  if (!isObject(entry)) throw wrong('no description')
  const { data_offsets: offsets, dtype, shape } = entry
  const elementBytes =
    typeof dtype === 'string' && Object.hasOwn(ELEMENT_BYTES, dtype) ? ELEMENT_BYTES[dtype] : undefined
  if (typeof dtype !== 'string' || elementBytes === undefined) {
    throw wrong(`the unknown datatype ${safeName(String(dtype).slice(0, 32))}`)
  }
  if (!isCounts(shape)) throw wrong('no valid shape')
  const [from, to, ...more] = isCounts(offsets) ? offsets : []
  if (from === undefined || to === undefined || more.length > 0 || to < from) throw wrong('no valid offsets')
  const bytes = shape.reduce((product, length) => product * length, elementBytes)
  if (bytes !== to - from) throw wrong(`${to - from} bytes, and its shape says ${bytes}`)
  return { name, dtype, shape, offset: start + from, bytes }
}

function isCounts(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0)
}

function damaged(label: string, why: string): UsageError {
  return new UsageError(`${label} is no whole safetensors file: ${why}. Download it again.`)
}
