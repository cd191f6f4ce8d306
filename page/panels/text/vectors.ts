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

/** The product of each sparse vector with each: the sum over the tokens that both have. */
export function sparseProducts(
  vectors: readonly { readonly indices: readonly number[]; readonly values: readonly number[] }[],
): number[][] {
  const maps = vectors.map(({ indices, values }) => new Map(indices.map((token, i) => [token, values[i] ?? 0])))
  return maps.map((left) =>
    maps.map((right) => [...left].reduce((sum, [token, weight]) => sum + weight * (right.get(token) ?? 0), 0)),
  )
}

/** MaxSim of each text's token vectors with each: for each of the first's the greatest product, added up. */
export function maxSims(texts: readonly (readonly Float32Array[])[]): number[][] {
  const product = (left: Float32Array, right: Float32Array): number =>
    left.reduce((sum, value, i) => sum + value * (right[i] ?? 0), 0)
  return texts.map((query) =>
    texts.map((text) =>
      text.length === 0
        ? 0
        : query.reduce((sum, one) => sum + Math.max(...text.map((other) => product(one, other))), 0),
    ),
  )
}

/** Lines of a text that hold something: one sentence or document each. */
export function linesOf(text: string): string[] {
  return text
    .split(/\r\n|\n|\r/)
    .map((line) => line.trim())
    .filter((line) => line !== '')
}
