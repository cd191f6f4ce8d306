/** The name that was most likely meant, by the letters that would have to change; undefined if none is near. */
export function closest(given: string, known: readonly string[]): string | undefined {
  // a third of the letters: more is another word
  let best: { readonly name: string; readonly distance: number } | undefined
  for (const name of known) {
    const most = Math.max(1, Math.floor(Math.min(given.length, name.length) / 3))
    const distance = editDistance(given.toLowerCase(), name.toLowerCase())
    if (distance <= most && (best === undefined || distance < best.distance)) best = { name, distance }
  }
  return best?.name
}

/** Longer names are not typos. */
const MOST_LETTERS = 64

/** Letters to add, to leave out, to change or to swap with their neighbour. (Optimal string alignment.) */
function editDistance(a: string, b: string): number {
  if (a.length > MOST_LETTERS || b.length > MOST_LETTERS) return Number.POSITIVE_INFINITY
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)]
  const at = (i: number, j: number): number => rows[i]?.[j] ?? Number.POSITIVE_INFINITY
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    rows.push(row)
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      row[j] = Math.min(
        at(i - 1, j) + 1,
        at(i, j - 1) + 1,
        at(i - 1, j - 1) + (same ? 0 : 1),
        swapped ? at(i - 2, j - 2) + 1 : Number.POSITIVE_INFINITY,
      )
    }
  }
  return at(a.length, b.length)
}
