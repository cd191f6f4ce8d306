/** How far two answers to the same request agree. */
export type Agreement =
  | { readonly kind: 'same' }
  /** The same texts and shapes; numbers differ by at most this much. */
  | { readonly kind: 'close'; readonly largest: number }
  /** Something other than a number differs; the path to it, such as `[0].label`. */
  | { readonly kind: 'different'; readonly at: string }

/** Answers are compared as far as this, so that a damaged or endless one does not keep the page busy. */
const MOST_DEPTH = 32

/** Compares two answers: JSON values, typed arrays, or bytes. */
export function agreement(left: unknown, right: unknown): Agreement {
  let largest: number | undefined
  const differs = (a: unknown, b: unknown, path: string, depth: number): string | undefined => {
    if (Object.is(a, b)) return undefined
    if (typeof a === 'number' && typeof b === 'number') {
      if (!Number.isFinite(a) || !Number.isFinite(b)) return path
      largest = Math.max(largest ?? 0, Math.abs(a - b))
      return undefined
    }
    if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null || depth > MOST_DEPTH) return path
    const [listA, listB] = [elements(a), elements(b)]
    if (listA !== undefined && listB !== undefined) {
      if (listA.length !== listB.length) return path
      const [orderedA, orderedB] = [byLabel(listA), byLabel(listB)]
      for (let i = 0; i < orderedA.length; i++) {
        const at = differs(orderedA[i], orderedB[i], `${path}[${i}]`, depth + 1)
        if (at !== undefined) return at
      }
      return undefined
    }
    if (listA !== undefined || listB !== undefined) return path
    const [recordA, recordB] = [a as Record<string, unknown>, b as Record<string, unknown>]
    const names = new Set([...Object.keys(recordA), ...Object.keys(recordB)])
    for (const name of names) {
      const at = differs(recordA[name], recordB[name], path === '' ? name : `${path}.${name}`, depth + 1)
      if (at !== undefined) return at
    }
    return undefined
  }
  const at = differs(left, right, '', 0)
  if (at !== undefined) return { kind: 'different', at }
  return largest === undefined ? { kind: 'same' } : { kind: 'close', largest }
}

function elements(value: object): ArrayLike<unknown> | undefined {
  if (Array.isArray(value)) return value
  return ArrayBuffer.isView(value) && !(value instanceof DataView)
    ? (value as unknown as ArrayLike<unknown>)
    : undefined
}

/** Two labels whose scores differ in the last bits may change places: that is a difference of scores. */
function byLabel(list: ArrayLike<unknown>): ArrayLike<unknown> {
  if (!Array.isArray(list)) return list
  const labels = list.map((item: unknown) => (item as { label?: unknown } | null)?.label)
  if (!labels.every((label) => typeof label === 'string') || new Set(labels).size !== labels.length) return list
  return list
    .map((item: unknown, index) => ({ item, label: String(labels[index]) }))
    .sort((a, b) => (a.label < b.label ? -1 : 1))
    .map(({ item }) => item)
}

/** The median of measured times. */
export function p50(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const [low = Number.NaN, high = Number.NaN] =
    sorted.length % 2 === 1 ? [sorted[middle], sorted[middle]] : sorted.slice(middle - 1, middle + 1)
  return (low + high) / 2
}

/** What an agreement means, in a sentence. */
export function agreementText(found: Agreement): string {
  if (found.kind === 'same') return 'same bits'
  if (found.kind === 'close') return `largest difference ${found.largest.toPrecision(2)}`
  return `differs${found.at === '' ? '' : ` at ${found.at}`}`
}
