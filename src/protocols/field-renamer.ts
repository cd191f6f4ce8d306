import { concatBytes } from '../core/bytes.ts'
import { decodeUtf8 } from '../core/json.ts'

/** A model's name here, and what the origin calls it. */
export interface Names {
  readonly ours: string
  readonly theirs: string
}

type Bytes = Uint8Array<ArrayBuffer>

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const OPENING = new Set([0x7b, 0x5b])
const CLOSING = new Set([0x7d, 0x5d])
const OPENING_BRACE = 0x7b
/** Keys longer than any that is looked for are not kept. */
const MOST_KEY = 64

/**
 * Gives a field of a JSON object another string, wherever the object's bytes are cut into pieces. Everything else stays
 * as it is, byte for byte: parsing and writing again would round integers beyond 2^53, and hold all of a large answer.
 * A field that is not a string, or stands deeper, is left alone.
 */
export class FieldRenamer {
  readonly #field: string
  readonly #value: Bytes
  #depth = 0
  #object = false
  #inString = false
  #escaped = false
  /** Bytes of the key that is being read. */
  #key: number[] | undefined
  #place: 'key' | 'value' = 'key'
  #found = false
  /** Inside of the string that is replaced. */
  #skipping = false

  constructor(field: string, value: string) {
    this.#field = field
    this.#value = encode(JSON.stringify(value))
  }

  push(piece: Bytes): Bytes {
    const kept: Bytes[] = []
    let from = 0
    for (let i = 0; i < piece.length; i++) {
      const byte = piece[i] ?? 0
      if (this.#inString) {
        if (!this.#endsString(byte)) continue
        if (this.#skipping) {
          this.#skipping = false
          from = i + 1
        }
      } else if (byte === QUOTE) {
        if (this.#beginsString()) {
          kept.push(piece.subarray(from, i), this.#value)
          this.#skipping = true
        }
      } else this.#structure(byte)
    }
    if (!this.#skipping) {
      if (kept.length === 0 && from === 0) return piece
      kept.push(piece.subarray(from))
    }
    return concatBytes(kept)
  }

  /** @returns whether the string is one to replace */
  #beginsString(): boolean {
    this.#inString = true
    if (this.#depth !== 1 || !this.#object) return false
    if (this.#place === 'key') this.#key = []
    return this.#place === 'value' && this.#found
  }

  #endsString(byte: number): boolean {
    if (this.#escaped) this.#escaped = false
    else if (byte === BACKSLASH) this.#escaped = true
    else if (byte === QUOTE) {
      this.#inString = false
      if (this.#key !== undefined) this.#found = keyText(this.#key) === this.#field
      this.#key = undefined
      return true
    }
    if (this.#key !== undefined && this.#key.length <= MOST_KEY) this.#key.push(byte)
    return false
  }

  #structure(byte: number): void {
    if (OPENING.has(byte)) {
      if (this.#depth === 0) this.#object = byte === OPENING_BRACE
      this.#depth += 1
    } else if (CLOSING.has(byte)) this.#depth -= 1
    else if (this.#depth === 1 && byte === COMMA) this.#place = 'key'
    else if (this.#depth === 1 && byte === COLON) this.#place = 'value'
  }
}

function keyText(bytes: readonly number[]): string | undefined {
  try {
    return JSON.parse(`"${decodeUtf8(Uint8Array.from(bytes)) ?? ''}"`) as string
  } catch {
    return undefined
  }
}

/** A whole JSON object with another string in one of its fields. */
export function renamed(json: Bytes, field: string, value: string): Bytes {
  return new FieldRenamer(field, value).push(json)
}

/** Whole events, each with another string in a field of the object that is its `data`. */
export function renamedEvents(events: Bytes, field: string, value: string): Bytes {
  const text = decodeUtf8(events)
  if (text === undefined) return events
  const line = (whole: string, start: string, data: string): string => {
    if (!data.startsWith('{')) return whole
    return start + new TextDecoder().decode(renamed(encode(data), field, value))
  }
  return encode(text.replace(/^(data: ?)([^\r\n]*)/gm, line))
}

function encode(text: string): Bytes {
  return new TextEncoder().encode(text).slice()
}
