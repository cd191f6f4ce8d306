/**
 * A small number for each UTF-16 unit, computed when a text first has it. Most texts have few units above U+0FFF, for which the
 * table grows to 64 KB.
 */
export class UnitTable {
  readonly #compute: (unit: number) => number
  #known = new Uint8Array(0x80)

  /** @param compute from 1 to 255 */
  constructor(compute: (unit: number) => number) {
    this.#compute = compute
  }

  of(unit: number): number {
    return this.#known[unit] || this.#fill(unit)
  }

  #fill(unit: number): number {
    if (unit >= this.#known.length) {
      const grown = new Uint8Array(unit < 0x1000 ? 0x1000 : 0x10000)
      grown.set(this.#known)
      this.#known = grown
    }
    const value = this.#compute(unit)
    this.#known[unit] = value
    return value
  }
}
