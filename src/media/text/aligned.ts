import { VergeError } from '../../core/errors.ts'

/**
 * A text while a tokenizer changes it: for every UTF-16 unit of `text`, the part [start, end) of the source that it came
 * from, in UTF-16 units of the source. What was put in without a source has an empty part. The first `lead` units were put
 * in; unit i behind them has its part at `from + i - lead` of both lists, which slices of a text share.
 */
export interface Aligned {
  readonly text: string
  readonly starts: Uint32Array
  readonly ends: Uint32Array
  readonly from: number
  readonly lead: number
}

/** Texts up to this length share the lists of a text that nobody has changed. */
const SHARED_UNITS = 16_384
const SHARED = { starts: new Uint32Array(0), ends: new Uint32Array(0) }

/** A text that nobody has changed yet: every unit comes from itself. */
export function alignedOf(text: string): Aligned {
  if (text.length > SHARED_UNITS) return { text, ...unchanged(text.length), from: 0, lead: 0 }
  if (SHARED.starts.length < text.length) Object.assign(SHARED, unchanged(Math.min(SHARED_UNITS, 2 * text.length)))
  return { text, ...SHARED, from: 0, lead: 0 }
}

function unchanged(length: number): { readonly starts: Uint32Array; readonly ends: Uint32Array } {
  const starts = new Uint32Array(length)
  const ends = new Uint32Array(length)
  for (let i = 0; i < length; i++) {
    starts[i] = i
    ends[i] = i + 1
  }
  return { starts, ends }
}

export function sliceOf({ ends, from: offset, lead, starts, text }: Aligned, from: number, to: number): Aligned {
  const left = lead - from
  return {
    text: text.slice(from, to),
    starts,
    ends,
    from: left > 0 ? offset : offset - left,
    lead: left > 0 ? Math.min(left, to - from) : 0,
  }
}

/** A text with something in front of it that has no source. */
export function withLead(text: Aligned, lead: string): Aligned {
  return { ...text, text: lead + text.text, lead: text.lead + lead.length }
}

/** The part of the source that [from, to) of a changed text came from; empty at the nearest place if from nothing. */
export function sourceOf(text: Aligned, from: number, to: number): readonly [number, number] {
  const { ends, lead, starts } = text
  const offset = text.from - lead
  let start = Number.POSITIVE_INFINITY
  let end = 0
  for (let i = offset + Math.max(from, lead); i < offset + to; i++) {
    const first = starts[i] ?? 0
    const last = ends[i] ?? 0
    if (first === last) continue
    if (first < start) start = first
    if (last > end) end = last
  }
  if (start <= end) return [start, end]
  const nearest = nearestTo(text, from)
  return [nearest, nearest]
}

/** The place of the source where something stands that has no part of it. */
export function nearestTo({ ends, from, lead, starts, text }: Aligned, at: number): number {
  const place = from + Math.max(0, at - lead)
  if (at < text.length) return starts[place] ?? 0
  return at > 0 ? (ends[place - 1] ?? 0) : 0
}

/** UTF-16 units of a changed text: each takes ten bytes, and some steps hold two such texts. */
const MOST_UNITS = 2 * 1024 * 1024

const EMPTY = new Uint32Array(0)

/** Writes a changed text, piece by piece. @throws input_too_large if it grows beyond what fits the memory */
export class Rewriter {
  readonly #source: Aligned
  readonly #parts: string[] = []
  #starts = EMPTY
  #ends = EMPTY
  #length = 0

  constructor(source: Aligned) {
    this.#source = source
  }

  /** [from, to) of the source as it is, or written as another text of the same length. */
  keep(from: number, to: number, text = this.#source.text.slice(from, to)): void {
    if (from >= to) return
    this.#reserve(to - from)
    this.#parts.push(text)
    const { ends, from: offset, lead, starts } = this.#source
    for (let i = from; i < to; i++) {
      const place = offset + Math.max(0, i - lead)
      const start = starts[place] ?? 0
      this.#starts[this.#length] = start
      this.#ends[this.#length++] = i < lead ? start : (ends[place] ?? 0)
    }
  }

  /** `text` in place of [from, to): each of its units then stands for all of what it replaces. */
  replace(text: string, from: number, to: number): void {
    const [start, end] = sourceOf(this.#source, from, to)
    this.#put(text, start, end)
  }

  /** `text` where there was nothing, before unit `at`. */
  insert(text: string, at: number): void {
    const place = nearestTo(this.#source, at)
    this.#put(text, place, place)
  }

  finish(): Aligned {
    return { text: this.#parts.join(''), starts: this.#starts, ends: this.#ends, from: 0, lead: 0 }
  }

  #put(text: string, start: number, end: number): void {
    this.#reserve(text.length)
    this.#parts.push(text)
    for (let i = 0; i < text.length; i++) {
      this.#starts[this.#length] = start
      this.#ends[this.#length++] = end
    }
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
    const grown = Math.max(needed, this.#starts.length * 2, this.#source.text.length + 16)
    const starts = new Uint32Array(grown)
    const ends = new Uint32Array(grown)
    starts.set(this.#starts.subarray(0, this.#length))
    ends.set(this.#ends.subarray(0, this.#length))
    this.#starts = starts
    this.#ends = ends
  }
}
