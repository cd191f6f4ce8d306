/** The cosine of the angle between two vectors; 0 where one of them is 0. */
export function cosine(left: ArrayLike<number>, right: ArrayLike<number>): number {
  let product = 0
  let leftSquares = 0
  let rightSquares = 0
  for (let i = 0; i < left.length; i++) {
    const [a, b] = [left[i] ?? 0, right[i] ?? 0]
    product += a * b
    leftSquares += a * a
    rightSquares += b * b
  }
  const lengths = Math.sqrt(leftSquares) * Math.sqrt(rightSquares)
  return lengths === 0 ? 0 : product / lengths
}

/** The similarity of each vector with each, a row for each. */
export function similarities(vectors: readonly Float32Array[]): number[][] {
  return vectors.map((left) => vectors.map((right) => cosine(left, right)))
}

/** Lines of a text that hold something: one sentence or document each. */
export function linesOf(text: string): string[] {
  return text
    .split(/\r\n|\n|\r/)
    .map((line) => line.trim())
    .filter((line) => line !== '')
}
