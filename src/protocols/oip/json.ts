import { VergeError } from '../../core/errors.ts'
import {
  ARRAY_TYPES,
  type Datatype,
  elementCount,
  halves,
  type NumericArray,
  type Tensor,
  tensor,
} from '../../core/tensors.ts'

/**
 * Tensors as JSON, both ways. The data come flat or nested, as the protocol allows; they go out flat.
 *
 * Reading makes one copy, from the parsed JSON into the typed array. Integers are refused rather than rounded, and
 * `exact.ts` puts those back that parsing has rounded. NaN and infinities, which JSON lacks, go out as null; null is not
 * read back, because no input can mean it.
 */

type NumericDatatype = Exclude<Datatype, 'BYTES'>

/** Inclusive ranges of the integer types that a JSON number can hold in full. */
const RANGES: Readonly<Partial<Record<Datatype, readonly [number, number]>>> = {
  UINT8: [0, 0xff],
  UINT16: [0, 0xffff],
  UINT32: [0, 0xffffffff],
  INT8: [-0x80, 0x7f],
  INT16: [-0x8000, 0x7fff],
  INT32: [-0x80000000, 0x7fffffff],
}

/** Stores one element; returns what is wrong with it, in words that follow "element is", or undefined. */
type Put = (index: number, value: unknown) => string | undefined

/**
 * @param shape checked: non-negative dimensions whose product is within limits
 * @param maxStringBytes longest element of a BYTES tensor, in bytes of UTF-8
 * @throws invalid_tensor
 */
export function tensorFromJson(
  name: string,
  datatype: Datatype,
  shape: readonly number[],
  data: unknown,
  maxStringBytes: number,
): Tensor {
  const count = elementCount(shape)
  const elements = checkLength(name, datatype, data, shape, count)
  if (datatype === 'BYTES') {
    const strings: string[] = new Array(count)
    fill(name, elements, shape, count, putString(strings, maxStringBytes))
    return tensor('BYTES', shape, strings)
  }
  const array = new ARRAY_TYPES[datatype](count)
  fill(name, elements, shape, count, putNumber(datatype, array))
  return { datatype, shape, data: array } as Tensor
}

function putString(strings: string[], maxBytes: number): Put {
  return (index, value) => {
    if (typeof value !== 'string') return 'not a string'
    // A UTF-16 unit is at most three bytes of UTF-8, so most strings need not be encoded to be measured.
    if (value.length * 3 > maxBytes && new TextEncoder().encode(value).length > maxBytes) {
      return `longer than ${maxBytes} bytes`
    }
    strings[index] = value
    return undefined
  }
}

function putNumber(datatype: NumericDatatype, array: NumericArray): Put {
  if (array instanceof BigInt64Array || array instanceof BigUint64Array) return putBigInt(datatype, array)
  if (datatype === 'BOOL') {
    return (index, value) => {
      if (value !== true && value !== false && value !== 0 && value !== 1) return 'not true, false, 0 or 1'
      array[index] = value ? 1 : 0
      return undefined
    }
  }
  const range = RANGES[datatype]
  if (range === undefined) {
    const floats = datatype === 'FP16' ? halves(array as Uint16Array) : array
    return (index, value) => {
      if (typeof value !== 'number') return 'not a number'
      floats[index] = value
      // Catches both a literal such as 1e999 and a double too large for the datatype.
      return Number.isFinite(floats[index]) ? undefined : `out of the range of ${datatype}`
    }
  }
  const [low, high] = range
  return (index, value) => {
    if (typeof value !== 'number') return 'not a number'
    if (!Number.isInteger(value)) return 'not a whole number'
    if (value < low || value > high) return `out of the range of ${datatype}, which is ${low} to ${high}`
    array[index] = value
    return undefined
  }
}

/** Inclusive ranges of the types whose elements may be beyond what a JSON number holds exactly. */
const WIDE_RANGES = {
  INT64: [-(2n ** 63n), 2n ** 63n - 1n],
  UINT64: [0n, 2n ** 64n - 1n],
} as const

/** Takes numbers, and `bigint` where `restoreLongIntegers` or a caller of another Worker has put one. */
function putBigInt(datatype: NumericDatatype, array: BigInt64Array | BigUint64Array): Put {
  const [low, high] = datatype === 'UINT64' ? WIDE_RANGES.UINT64 : WIDE_RANGES.INT64
  return (index, value) => {
    if (typeof value === 'bigint') {
      if (value < low || value > high) return `out of the range of ${datatype}, which is ${low} to ${high}`
      array[index] = value
      return undefined
    }
    if (typeof value !== 'number') return 'not a number'
    if (!Number.isInteger(value)) return 'not a whole number'
    if (!Number.isSafeInteger(value)) {
      return Math.abs(value) >= 2 ** 64
        ? `out of the range of ${datatype}, which is ${low} to ${high}`
        : 'beyond 2^53 and not written digit by digit; write it without point and exponent, or send binary data'
    }
    if (datatype === 'UINT64' && value < 0) return 'out of the range of UINT64, which begins at 0'
    array[index] = BigInt(value)
    return undefined
  }
}

/** Checks what can be checked before memory is given for the elements. */
function checkLength(
  name: string,
  datatype: Datatype,
  data: unknown,
  shape: readonly number[],
  count: number,
): readonly unknown[] {
  if (!Array.isArray(data)) {
    throw new VergeError('invalid_tensor', `Input "${name}" needs "data": an array of ${datatype} elements.`)
  }
  if (!isNested(data) && data.length !== count) throw wrongCount(name, shape, count, data.length)
  return data
}

function isNested(data: readonly unknown[]): boolean {
  return data.length > 0 && Array.isArray(data[0])
}

function fill(name: string, data: readonly unknown[], shape: readonly number[], count: number, put: Put): void {
  const written = isNested(data) ? fillNested(name, data, shape, 0, 0, put) : fillFlat(name, data, 0, put)
  if (written !== count) throw wrongCount(name, shape, count, written)
}

function fillFlat(name: string, data: readonly unknown[], at: number, put: Put): number {
  for (let i = 0; i < data.length; i++) {
    const wrong = put(at + i, data[i])
    if (wrong !== undefined) {
      throw new VergeError('invalid_tensor', `Input "${name}": element ${at + i} is ${wrong}.`)
    }
  }
  return data.length
}

/** Fills from nested arrays, whose lengths must be the shape's at every level. Depth is bounded by the shape's rank. */
function fillNested(
  name: string,
  data: readonly unknown[],
  shape: readonly number[],
  depth: number,
  at: number,
  put: Put,
): number {
  const length = shape[depth]
  if (data.length !== length) {
    throw new VergeError(
      'invalid_tensor',
      `Input "${name}": the nested data does not match the shape [${shape.join(', ')}] at depth ${depth}.`,
    )
  }
  if (depth === shape.length - 1) return fillFlat(name, data, at, put)
  let written = 0
  for (const inner of data) {
    if (!Array.isArray(inner)) {
      throw new VergeError('invalid_tensor', `Input "${name}": the nested data is not an array at depth ${depth + 1}.`)
    }
    written += fillNested(name, inner, shape, depth + 1, at + written, put)
  }
  return written
}

function wrongCount(name: string, shape: readonly number[], expected: number, actual: number): VergeError {
  return new VergeError(
    'invalid_tensor',
    `Input "${name}": shape [${shape.join(', ')}] needs ${expected} elements, but "data" has ${actual}.`,
  )
}

/** The elements as a flat JSON array. 64-bit integers are written digit by digit, exactly. */
export function dataToJson(value: Tensor): string {
  switch (value.datatype) {
    case 'BYTES':
      return JSON.stringify(value.data)
    case 'BOOL':
      return `[${Array.from(value.data, (element) => (element === 0 ? 'false' : 'true')).join(',')}]`
    case 'FP16':
      return floatsToJson(halves(value.data))
    case 'FP32':
    case 'FP64':
      return floatsToJson(value.data)
    default:
      return `[${value.data.join(',')}]`
  }
}

function floatsToJson(data: Float16Array | Float32Array | Float64Array): string {
  for (let i = 0; i < data.length; i++) {
    if (!Number.isFinite(data[i])) {
      return `[${Array.from(data, (element) => (Number.isFinite(element) ? String(element) : 'null')).join(',')}]`
    }
  }
  return `[${data.join(',')}]`
}

/**
 * Whole numbers of 64 bits in JSON. `JSON.parse` rounds those beyond 2^53 to the nearest double. A reviver could see their
 * digits, but is called for every element: 4 million of them take 6 s that way, and 0.2 s this way.
 */

/** A tensor with its data as `JSON.parse` gives them. */
interface JsonTensor {
  readonly datatype?: unknown
  readonly data?: unknown
}

const WIDE: ReadonlySet<unknown> = new Set<Datatype>(['INT64', 'UINT64'])

/**
 * A whole number too long to be exact in a double: 16 digits at least, and no more than 64 bits have. Not a part of another
 * number: neither its fraction nor its exponent. Linear: what is tried at a place is at most 21 characters.
 */
const LONG_INTEGER = /(?<![\d.eE+-])-?\d{16,20}(?![\d.eE])/g
const QUOTE = '"'
const BACKSLASH = 0x5c

/** Pieces that are joined at once: a body has up to a million of them, which are objects each. */
const PIECES = 4_096

/**
 * Puts exact values, as `bigint`, into the data of INT64 and UINT64 tensors where parsing has rounded whole numbers that
 * are written digit by digit. Others stay as they are. Changes the lists of `tensors` in place.
 * @param json the valid JSON that `tensors` were parsed from
 * @param listIn finds the list that became `tensors` in the parsed value
 */
export function restoreLongIntegers(
  tensors: readonly JsonTensor[],
  json: string | (() => string),
  listIn: (parsed: unknown) => unknown,
): void {
  const rounded = tensors.map(({ data, datatype }) => WIDE.has(datatype) && hasRounded(data))
  if (!rounded.includes(true)) return
  const list = listIn(JSON.parse(withLongIntegersQuoted(typeof json === 'string' ? json : json())))
  if (!Array.isArray(list)) return
  for (const [i, { data }] of tensors.entries()) {
    if (rounded[i]) restore(data, (list[i] as JsonTensor | undefined)?.data)
  }
}

/**
 * Valid JSON with its long whole numbers as strings. Strings are stepped over by hand: a pattern for them keeps a place to
 * go back to for each of their characters, and runs out of stack in one of some megabytes.
 */
function withLongIntegersQuoted(json: string): string {
  const joined: string[] = []
  let pieces: string[] = []
  let kept = 0
  // The string at or before a number: it may hold what reads as one.
  let opened = json.indexOf(QUOTE)
  let closed = closingQuote(json, opened)
  for (const { 0: number, index } of json.matchAll(LONG_INTEGER)) {
    while (opened !== -1 && closed < index) {
      opened = json.indexOf(QUOTE, closed + 1)
      closed = closingQuote(json, opened)
    }
    if (opened !== -1 && opened < index) continue
    pieces.push(json.slice(kept, index), QUOTE, number, QUOTE)
    kept = index + number.length
    if (pieces.length < PIECES) continue
    joined.push(pieces.join(''))
    pieces = []
  }
  return [...joined, ...pieces, json.slice(kept)].join('')
}

/** Where the string ends that a quote opens; -1 for no quote. */
function closingQuote(json: string, opened: number): number {
  if (opened === -1) return -1
  for (let at = json.indexOf(QUOTE, opened + 1); at !== -1; at = json.indexOf(QUOTE, at + 1)) {
    let escapes = 0
    while (json.charCodeAt(at - 1 - escapes) === BACKSLASH) escapes++
    if (escapes % 2 === 0) return at
  }
  return json.length
}

function isRounded(value: unknown): value is number {
  return Number.isInteger(value) && !Number.isSafeInteger(value)
}

/** Data may be nested more deeply than calls may be. */
function hasRounded(data: unknown): boolean {
  const open: unknown[] = [data]
  while (open.length > 0) {
    const list = open.pop()
    if (!Array.isArray(list)) continue
    for (const value of list) {
      if (isRounded(value)) return true
      if (Array.isArray(value)) open.push(value)
    }
  }
  return false
}

/** @param digits the same data, where long whole numbers are strings of their digits */
function restore(data: unknown, digits: unknown): void {
  const open: (readonly [unknown, unknown])[] = [[data, digits]]
  for (let pair = open.pop(); pair !== undefined; pair = open.pop()) {
    const [rounded, exact] = pair
    if (!Array.isArray(rounded) || !Array.isArray(exact)) continue
    for (let i = 0; i < rounded.length; i++) {
      const value: unknown = rounded[i]
      const text: unknown = exact[i]
      // A string that the caller sent is a string in both.
      if (isRounded(value) && typeof text === 'string') rounded[i] = BigInt(text)
      else if (Array.isArray(value)) open.push([value, text])
    }
  }
}
