/** Lines of a page between which a command writes. Markdown does not show them. */
export interface Markers {
  readonly begin: string
  readonly end: string
}

/** @param command that writes the text between the markers */
export function markersOf(name: string, command: string): Markers {
  return { begin: `<!-- ${name}: begin (${command}) -->`, end: `<!-- ${name}: end -->` }
}

/** The page with the text between its markers replaced; undefined if the page has no such markers. */
export function betweenMarkers(page: string, { begin, end }: Markers, text: string): string | undefined {
  const from = page.indexOf(begin)
  const to = page.indexOf(end)
  if (from < 0 || to < from) return undefined
  return `${page.slice(0, from + begin.length)}\n\n${text}\n\n${page.slice(to)}`
}
