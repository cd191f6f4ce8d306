import { VergeError } from '../../core/errors.ts'

/**
 * A text while a tokenizer changes it: for every UTF-16 unit of `text`, the part [start, end) of the source that it came
 * from, in UTF-16 units of the source. What was put in without a source has an empty part.
 */
export interface Aligned {
  readonly text: string
  readonly starts: Uint32Array
  readonly ends: Uint32Array
}

/** A text that nobody has changed yet: every unit comes from itself. */
export function alignedOf(text: string): Aligned {
  const starts = new Uint32Array(text.length)
  const ends = new Uint32Array(text.length)
  for (let i = 0; i < text.length; i++) {
    starts[i] = i
    ends[i] = i + 1
  }
  return { text, starts, ends }
}

export function sliceOf({ text, starts, ends }: Aligned, from: number, to: number): Aligned {
  return { text: text.slice(from, to), starts: starts.subarray(from, to), ends: ends.subarray(from, to) }
}

/** The part of the source that [from, to) of a changed text came from; empty at the nearest place if from nothing. */
export function sourceOf({ starts, ends }: Aligned, from: number, to: number): readonly [number, number] {
  let start = Number.POSITIVE_INFINITY
  let end = 0
  for (let i = from; i < to; i++) {
    const first = starts[i] ?? 0
    const last = ends[i] ?? 0
    if (first === last) continue
    start = Math.min(start, first)
    end = Math.max(end, last)
  }
  if (start <= end) return [start, end]
  const nearest = starts[from] ?? ends[from - 1] ?? 0
  return [nearest, nearest]
}

/** UTF-16 units of a changed text: each takes ten bytes, and some steps hold two such texts. */
const MOST_UNITS = 2 * 1024 * 1024

/** Writes a changed text, piece by piece. @throws input_too_large if it grows beyond what fits the memory */
export class Rewriter {
  readonly #source: Aligned
  readonly #parts: string[] = []
  #starts: Uint32Array<ArrayBuffer>
  #ends: Uint32Array<ArrayBuffer>
  #length = 0

  constructor(source: Aligned) {
    this.#source = source
    this.#starts = new Uint32Array(source.text.length + 16)
    this.#ends = new Uint32Array(source.text.length + 16)
  }

  /** [from, to) of the source as it is. */
  keep(from: number, to: number): void {
    if (from >= to) return
    this.#reserve(to - from)
    this.#parts.push(this.#source.text.slice(from, to))
    this.#starts.set(this.#source.starts.subarray(from, to), this.#length)
    this.#ends.set(this.#source.ends.subarray(from, to), this.#length)
    this.#length += to - from
  }

  /** `text` in place of [from, to): each of its units then stands for all of what it replaces. */
  replace(text: string, from: number, to: number): void {
    const [start, end] = sourceOf(this.#source, from, to)
    this.#put(text, start, end)
  }

  /** `text` where there was nothing, before unit `at`. */
  insert(text: string, at: number): void {
    const { starts, ends } = this.#source
    const place = starts[at] ?? ends[at - 1] ?? 0
    this.#put(text, place, place)
  }

  finish(): Aligned {
    return {
      text: this.#parts.join(''),
      starts: this.#starts.subarray(0, this.#length),
      ends: this.#ends.subarray(0, this.#length),
    }
  }

  #put(text: string, start: number, end: number): void {
    this.#reserve(text.length)
    this.#parts.push(text)
    this.#starts.fill(start, this.#length, this.#length + text.length)
    this.#ends.fill(end, this.#length, this.#length + text.length)
    this.#length += text.length
  }

  #reserve(more: number): void {
    const needed = this.#length + more
    if (needed <= this.#starts.length) return
    if (needed > MOST_UNITS) {
      throw new VergeError(
        'input_too_large',
        `The text has more than ${MOST_UNITS} characters after the tokenizer has normalized it. Send a shorter text.`,
        { details: { limit_characters: MOST_UNITS } },
      )
    }
    const grown = Math.max(needed, this.#starts.length * 2)
    const starts = new Uint32Array(grown)
    const ends = new Uint32Array(grown)
    starts.set(this.#starts.subarray(0, this.#length))
    ends.set(this.#ends.subarray(0, this.#length))
    this.#starts = starts
    this.#ends = ends
  }
}
