/** Bytes that something needs from one step to another, both included. */
export interface Lifetime {
  readonly bytes: number
  readonly from: number
  readonly to: number
}

const ALIGNMENT = 64

export interface Arena {
  readonly offsets: readonly number[]
  readonly bytes: number
}

/**
 * Places what lives at the same time side by side, and what does not in the same bytes: the largest first, each where it
 * first fits. The same lifetimes always give the same places.
 */
export function planArena(lifetimes: readonly Lifetime[]): Arena {
  const offsets = new Array<number>(lifetimes.length).fill(0)
  const order = lifetimes
    .map((lifetime, index) => ({ ...lifetime, index, bytes: Math.ceil(lifetime.bytes / ALIGNMENT) * ALIGNMENT }))
    .filter(({ bytes }) => bytes > 0)
    .sort((a, b) => b.bytes - a.bytes || a.from - b.from || a.index - b.index)
  /** In order of their offsets. */
  const placed: { offset: number; end: number; from: number; to: number }[] = []
  let total = 0
  for (const { bytes, from, to, index } of order) {
    let offset = 0
    for (const other of placed) {
      if (other.to < from || other.from > to) continue
      if (other.offset - offset >= bytes) break
      offset = Math.max(offset, other.end)
    }
    const end = offset + bytes
    const at = placed.findIndex((other) => other.offset > offset)
    placed.splice(at < 0 ? placed.length : at, 0, { offset, end, from, to })
    offsets[index] = offset
    total = Math.max(total, end)
  }
  return { offsets, bytes: total }
}
