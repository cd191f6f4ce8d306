import type { Datatype } from '../../core/tensors.ts'

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
