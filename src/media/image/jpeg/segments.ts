/** One marker segment of a JPEG. */
export interface Segment {
  readonly marker: number
  /** What follows the segment's length; empty for markers that have none. */
  readonly content: Uint8Array
  /** Offset just behind the segment. */
  readonly end: number
}

/** The segments from an offset on, until the end of the bytes. Bytes between segments are passed over. */
export function* segments(bytes: Uint8Array, from: number): Generator<Segment> {
  let at = from
  while (at + 1 < bytes.length) {
    if (bytes[at] !== 0xff) {
      at = bytes.indexOf(0xff, at)
      if (at < 0) return
      continue
    }
    const marker = bytes[at + 1] ?? 0
    // 0xff before a marker is filling; a stuffed zero and restart markers belong to entropy-coded data.
    if (marker === 0xff) {
      at++
      continue
    }
    if (marker === 0 || marker === 1 || (marker >= 0xd0 && marker <= 0xd8)) {
      at += 2
      continue
    }
    if (marker === 0xd9) {
      yield { marker, content: bytes.subarray(at + 2, at + 2), end: at + 2 }
      return
    }
    if (at + 4 > bytes.length) return
    const length = ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)
    const end = at + 2 + Math.max(2, length)
    yield { marker, content: bytes.subarray(at + 4, Math.min(end, bytes.length)), end }
    at = end
  }
}
