import type { ConstantType, Layout, PlanConstant } from '../engine/verge/plan.ts'

/** Where constants begin in an image. */
const ALIGNMENT = 64

/** Collects constants: equal ones are stored once. Bytes are little-endian, as they lie in memory. */
export class Image {
  readonly constants: PlanConstant[] = []
  readonly #parts: Uint8Array[] = []
  readonly #known = new Map<string, number[]>()
  #bytes = 0

  /** @returns the constant's index */
  add(dtype: ConstantType, layout: Layout, shape: readonly number[], data: ArrayBufferView): number {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    const key = `${dtype} ${layout} ${shape} ${bytes.length} ${checksum(bytes)}`
    const same = this.#known.get(key)?.find((index) => equal(this.#parts[index] as Uint8Array, bytes))
    if (same !== undefined) return same
    const index = this.constants.length
    this.constants.push({ dtype, layout, shape: [...shape], offset: this.#bytes, bytes: bytes.length })
    this.#parts.push(bytes)
    this.#known.set(key, [...(this.#known.get(key) ?? []), index])
    this.#bytes = aligned(this.#bytes + bytes.length)
    return index
  }

  /** Adds a constant of another image. @returns its index here */
  take(other: Image, index: number): number {
    const { dtype, layout, shape } = other.constants[index] as PlanConstant
    return this.add(dtype, layout, shape, other.part(index))
  }

  part(index: number): Uint8Array {
    return this.#parts[index] as Uint8Array
  }

  get bytes(): number {
    return this.#bytes
  }

  writeTo(target: Uint8Array): void {
    for (const [index, { offset }] of this.constants.entries()) target.set(this.#parts[index] as Uint8Array, offset)
  }
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT
}

function equal(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((value, index) => value === right[index])
}

/** FNV-1a over the first bytes: equal contents are compared afterwards. */
function checksum(bytes: Uint8Array): number {
  let hash = 0x811c9dc5
  for (const byte of bytes.subarray(0, 256)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
  return hash
}
