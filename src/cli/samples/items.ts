import { UsageError } from '../terminal/command-line.ts'

/** A sample before its conversion to tensors. */
export type Content =
  /** A picture or a text, as a file of a media type. */
  | { readonly kind: 'bytes'; readonly mediaType: string; readonly bytes: Uint8Array }
  /** The value of `inputs` in a task's JSON body. */
  | { readonly kind: 'inputs'; readonly inputs: string }
  /** The `inputs` of an Open Inference Protocol request. */
  | { readonly kind: 'request'; readonly inputs: readonly unknown[] }
  /** Tensors of ONNX's test data, by name. */
  | { readonly kind: 'tensors'; readonly files: ReadonlyMap<string, Uint8Array> }

export interface Labelled {
  readonly content: Content
  /** A class by its index or by its name. */
  readonly label?: number | string
}

/** One sample of a source, read only when it is chosen. */
export interface Item {
  /** Where it is, for messages: file and line. */
  readonly where: string
  read(): Promise<Labelled>
}

export type Items = AsyncIterable<Item>

/** What a reader says of a source that it cannot read: where, what, and why. */
export type Refuse = (where: string, what: string, cause?: unknown) => UsageError

/** @returns a UsageError with the problem and its place */
export function badSamples(where: string, what: string, cause?: unknown): UsageError {
  return new UsageError(`bad samples: ${where}: ${what}`, cause === undefined ? undefined : { cause })
}

/** Which of a source's items are taken: those whose index, counted from 0, leaves `remainder` when divided. */
export interface SampleParts {
  readonly divisor: number
  readonly remainder: number
}

/** Numbers in [0, 1) that follow from a seed alone. (Mulberry32, by T. Ettinger, in the public domain.) */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/**
 * At most `limit` items, each as likely as any other, in the order of the source. Holds no more than it returns.
 * (Algorithm R: J. S. Vitter, Random sampling with a reservoir, 1985.)
 */
export async function choose(items: Items, limit: number, seed: number, part?: SampleParts): Promise<Item[]> {
  const random = randomNumbers(seed)
  const chosen: { readonly index: number; readonly item: Item }[] = []
  let index = 0
  let seen = 0
  for await (const item of items) {
    const at = index++
    if (part !== undefined && at % part.divisor !== part.remainder) continue
    const place = seen < limit ? seen : Math.floor(random() * (seen + 1))
    if (place < limit) chosen[place] = { index: at, item }
    seen++
  }
  return chosen.sort((left, right) => left.index - right.index).map(({ item }) => item)
}
