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
   * @returns what can be passed on: all but the longest end that one of the strings might begin with; `stopped` once one
   * of them is complete
   */
  push(text: string): { readonly text: string; readonly stopped: boolean } {
    const held = this.#held + text
    const at = this.#first(held)
    if (at !== -1) {
      this.#held = ''
      return { text: held.slice(0, at), stopped: true }
    }
    const open = this.#open(held)
    this.#held = held.slice(held.length - open)
    return { text: held.slice(0, held.length - open), stopped: false }
  }

  /** What was held back, when nothing more comes. */
  end(): string {
    const held = this.#held
    this.#held = ''
    return held
  }

  /** Where the one begins that is complete first, so that it does not matter how the text was cut; -1 if none is. */
  #first(text: string): number {
    let [found, end] = [-1, Number.POSITIVE_INFINITY]
    for (const string of this.#strings) {
      const at = text.indexOf(string)
      if (at === -1 || at + string.length > end || (at + string.length === end && at > found)) continue
      found = at
      end = at + string.length
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
