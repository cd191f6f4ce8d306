import type { BytesSettings } from '../../catalog/settings/bytes.ts'

type Cut = Pick<BytesSettings, 'begin' | 'middle' | 'end' | 'blockSize' | 'padding' | 'strip'>

/** What a model sees of a file. */
export interface Features {
  /** Bytes and padding: `begin`, then `middle`, then `end`. */
  readonly values: Int32Array
  /** Bytes in its first part that are not padding. */
  readonly beginBytes: number
}

/**
 * Cuts a file as google/magika does (its Python package's `_extract_features_from_seekable`): the first and the last
 * `blockSize` bytes are stripped of white space at the outside; the beginning is padded behind, the end in front. The middle
 * comes from the centre of the whole file and is padded on both sides.
 */
export function byteFeatures(bytes: Uint8Array, cut: Cut): Features {
  const { begin, middle, end, blockSize, padding, strip } = cut
  const values = new Int32Array(begin + middle + end).fill(padding)
  const block = Math.min(blockSize, bytes.length)

  const first = bytes.subarray(0, block)
  const beginning = first.subarray(strip ? leadingSpace(first) : 0).subarray(0, begin)
  values.set(beginning, 0)

  if (middle > 0) {
    const taken = Math.min(middle, bytes.length)
    const from = Math.floor((bytes.length - taken) / 2)
    values.set(bytes.subarray(from, from + taken), begin + Math.floor((middle - taken) / 2))
  }

  if (end > 0) {
    const last = bytes.subarray(bytes.length - block)
    const stripped = last.subarray(0, last.length - (strip ? trailingSpace(last) : 0))
    const ending = stripped.subarray(Math.max(0, stripped.length - end))
    values.set(ending, values.length - ending.length)
  }
  return { values, beginBytes: beginning.length }
}

/** Whether bytes are text in UTF-8; a character that the end cuts off does not count against them. */
export function isText(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes, { stream: true })
    return true
  } catch {
    return false
  }
}

function leadingSpace(bytes: Uint8Array): number {
  const first = bytes.findIndex((byte) => !isSpace(byte))
  return first === -1 ? bytes.length : first
}

function trailingSpace(bytes: Uint8Array): number {
  return bytes.length - 1 - bytes.findLastIndex((byte) => !isSpace(byte))
}

/** Space, tab, line feed, vertical tab, form feed and carriage return: what Python strips from bytes. */
function isSpace(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d)
}
