import type { TextVectors } from '../tasks/vectors/embedding.ts'

/** Vectors of tokens as a list of lists. */
export function rowsOf({ values, width }: TextVectors): number[][] {
  return Array.from({ length: values.length / width }, (_, i) =>
    Array.from(values.subarray(i * width, (i + 1) * width)),
  )
}
