/** Part of a body, within it and not empty. */
export interface BodyRange {
  readonly offset: number
  readonly length: number
}

/**
 * What a `Range` header asks of so many bytes (RFC 9110, 14.2): one range, or `unsatisfiable` where it begins past the end.
 * Undefined is the whole: for a unit that is not bytes, several ranges and whatever is malformed, as the RFC allows.
 */
export function rangeOf(header: string | undefined, bytes: number): BodyRange | 'unsatisfiable' | undefined {
  const match = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i.exec(header ?? '')
  if (match === null) return undefined
  const [, first = '', last = ''] = match
  if (first === '') {
    if (last === '') return undefined
    const length = Math.min(Number(last), bytes)
    return length === 0 ? 'unsatisfiable' : { offset: bytes - length, length }
  }
  const offset = Number(first)
  const end = last === '' ? bytes : Math.min(Number(last) + 1, bytes)
  if (last !== '' && Number(last) < offset) return undefined
  return offset >= bytes ? 'unsatisfiable' : { offset, length: end - offset }
}
