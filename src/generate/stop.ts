/** Passes a text on as it comes, up to the first of some strings that is complete; nothing of that is ever passed on. */
export class StopStrings {
  readonly #strings: readonly string[]
  readonly #longest: number
  #held = ''

  constructor(strings: readonly string[]) {
    this.#strings = strings.filter((string) => string !== '')
    this.#longest = Math.max(0, ...this.#strings.map(({ length }) => length))
  }

  /**
   * @returns what can be passed on: all but the longest end that one of the strings might begin with; `stopped`: the one
   * that is complete
   */
  push(text: string): { readonly text: string; readonly stopped: string | undefined } {
    const held = this.#held + text
    const found = this.#first(held)
    if (found !== undefined) {
      this.#held = ''
      return { text: held.slice(0, found.at), stopped: found.string }
    }
    const open = this.#open(held)
    this.#held = held.slice(held.length - open)
    return { text: held.slice(0, held.length - open), stopped: undefined }
  }

  /** What was held back, when nothing more comes. */
  end(): string {
    const held = this.#held
    this.#held = ''
    return held
  }

  /** The one that is complete first, so that it does not matter how the text was cut. */
  #first(text: string): { readonly at: number; readonly string: string } | undefined {
    let found: { readonly at: number; readonly string: string } | undefined
    for (const string of this.#strings) {
      const at = text.indexOf(string)
      if (at === -1) continue
      const end = at + string.length
      const earliest = found === undefined ? Number.POSITIVE_INFINITY : found.at + found.string.length
      if (end < earliest || (end === earliest && found !== undefined && at < found.at)) found = { at, string }
    }
    return found
  }

  /** Length of the longest end of a text that a string begins with. */
  #open(text: string): number {
    for (let length = Math.min(this.#longest - 1, text.length); length > 0; length--) {
      const end = text.slice(text.length - length)
      if (this.#strings.some((string) => string.length > length && string.startsWith(end))) return length
    }
    return 0
  }
}
