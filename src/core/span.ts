/** A time in which something holds. A clock that goes back ends it, too: else it could hold for as long as the clock was ahead. */
export interface Span {
  readonly at: number
  readonly ms: number
}

export function isWithin(span: Span | undefined, now: number): boolean {
  return span !== undefined && now >= span.at && now < span.at + span.ms
}
