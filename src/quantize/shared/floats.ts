/** Floats read at a time: 256 KiB, which stay in the processor's cache for the work on them. */
const PIECE = 65_536

/**
 * Little-endian 32-bit floats in bytes that need not be aligned: files give weights any start. Read piece by piece, so
 * that no aligned copy of a whole weight is made.
 */
export class FloatWeights {
  readonly length: number
  readonly #bytes: Uint8Array
  #copy = new Uint8Array(0)

  constructor({ buffer, byteOffset, byteLength }: ArrayBufferView) {
    this.#bytes = new Uint8Array(buffer, byteOffset, byteLength)
    this.length = byteLength / 4
  }

  /** Elements from `start` on; valid until the next reading. */
  read(start: number, count: number): Float32Array {
    const { buffer, byteOffset } = this.#bytes
    const offset = byteOffset + 4 * start
    if (offset % 4 === 0) return new Float32Array(buffer, offset, count)
    if (this.#copy.length < 4 * count) this.#copy = new Uint8Array(4 * count)
    this.#copy.set(this.#bytes.subarray(4 * start, 4 * (start + count)))
    return new Float32Array(this.#copy.buffer, 0, count)
  }

  /**
   * All elements in order, in pieces of whole rows.
   * @param columns elements of a row
   */
  *pieces(columns = 1): Iterable<{ readonly start: number; readonly values: Float32Array }> {
    const step = Math.max(1, Math.floor(PIECE / columns)) * columns
    for (let start = 0; start < this.length; start += step) {
      yield { start, values: this.read(start, Math.min(step, this.length - start)) }
    }
  }
}
