/** A part of a text that is marked, in UTF-16 units as JavaScript counts. */
export interface Span {
  readonly start: number
  readonly end: number
  readonly label: string
  readonly score: number
}

/** A text in pieces, some of which are marked. */
export interface Piece {
  readonly text: string
  readonly span: Span | undefined
}

/** Cuts a text where spans begin and end. Of spans that overlap, the earlier and then the longer one is kept. */
export function piecesOf(text: string, spans: readonly Span[]): Piece[] {
  const usable = spans
    .filter(
      ({ end, start }) =>
        Number.isInteger(start) && Number.isInteger(end) && start >= 0 && start < end && end <= text.length,
    )
    .toSorted((a, b) => a.start - b.start || b.end - a.end)
  const pieces: Piece[] = []
  let at = 0
  for (const span of usable) {
    if (span.start < at) continue
    if (span.start > at) pieces.push({ text: text.slice(at, span.start), span: undefined })
    pieces.push({ text: text.slice(span.start, span.end), span })
    at = span.end
  }
  if (at < text.length) pieces.push({ text: text.slice(at), span: undefined })
  return pieces
}
