/**
 * Positions in UTF-16 units, which JavaScript counts, as positions in code points, which Python and so Hugging Face's
 * API count.
 */
export function codePointPositions(text: string): (position: number) => number {
  if (!/[\ud800-\udbff]/.test(text)) return (position) => position
  const counts = new Uint32Array(text.length + 1)
  let count = 0
  let at = 0
  for (const character of text) {
    counts.fill(count, at, at + character.length)
    at += character.length
    count++
  }
  counts[text.length] = count
  return (position) => counts[position] ?? count
}
