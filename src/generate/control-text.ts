import type { TextTokenizer } from '../media/text/tokenizer.ts'

/** A prompt as text, and where in it nothing is a control token, whatever it looks like. */
export interface Prompt {
  readonly text: string
  readonly literal: (start: number, end: number, id: number) => boolean
}

/** A noncharacter, which Unicode keeps for a program's own use: no text holds it, and no tokenizer knows it. */
const MARK = '\ufdd0'
const MARKS = /\ufdd0/g

/** Pieces that are joined at once: a text that is nothing but control tokens has millions, which are objects each. */
const PIECES = 4_096

/**
 * Keeps what people write apart from what a template writes: a message that holds the text of a control token
 * ("<|im_end|>") must not end the message. Such texts are marked before they go into a template and found again in what
 * comes out of it, however it was cut and joined.
 */
export class ControlText {
  readonly #pattern: RegExp | undefined
  readonly #addedTexts: ReadonlyMap<number, string>
  readonly #special: ReadonlySet<number>

  constructor({ addedTexts, special }: Pick<TextTokenizer, 'addedTexts' | 'special'>) {
    this.#addedTexts = addedTexts
    this.#special = special
    const texts = [...special].map((id) => addedTexts.get(id) ?? '').filter((text) => text !== '')
    // Looked for at every place, because two of them may overlap.
    this.#pattern = texts.length === 0 ? undefined : new RegExp(`(?=(${texts.map(escaped).join('|')}))`, 'giu')
  }

  /** A message's text, with a mark inside of everything that reads as a control token. */
  marked(text: string): string {
    const own = text.replace(MARKS, '')
    return this.#pattern === undefined ? own : withMarks(own, own.matchAll(this.#pattern))
  }

  /**
   * Takes the marks out of what a template made. A control token is there as it is written, or not at all: a normalizer
   * makes one of characters that only look alike ("＜|end|＞" by NFKC), and a template has no need of those.
   */
  read(rendered: string): Prompt {
    const text = rendered.replace(MARKS, '')
    const places = new Uint32Array(rendered.length - text.length)
    let at = -1
    for (let i = 0; i < places.length; i++) {
      at = rendered.indexOf(MARK, at + 1)
      places[i] = at - i
    }
    const literal = (start: number, end: number, id: number): boolean => {
      if ((places[firstFrom(places, start)] ?? end) < end) return true
      return this.#special.has(id) && text.slice(start, end).trim() !== this.#addedTexts.get(id)?.trim()
    }
    return { text, literal }
  }
}

function withMarks(text: string, tokens: Iterable<RegExpExecArray>): string {
  const joined: string[] = []
  let pieces: string[] = []
  let kept = 0
  for (const { 1: token = '', index } of tokens) {
    // Behind its first character, so that a template which cuts something off the front leaves it there.
    const at = token.length > 1 ? index + 1 : index
    pieces.push(text.slice(kept, at))
    kept = at
    if (pieces.length < PIECES) continue
    joined.push(pieces.join(MARK))
    pieces = []
  }
  return [...joined, ...pieces, text.slice(kept)].join(MARK)
}

/** Index of the first of some ascending numbers that is not below `least`: there may be as many as a body has tokens. */
function firstFrom(numbers: Uint32Array, least: number): number {
  let [from, to] = [0, numbers.length]
  while (from < to) {
    const middle = (from + to) >> 1
    if ((numbers[middle] ?? 0) < least) from = middle + 1
    else to = middle
  }
  return from
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')
}
