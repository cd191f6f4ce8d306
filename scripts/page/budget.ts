/** A script of the page. */
export interface PageChunk {
  readonly name: string
  readonly gzipBytes: number
  readonly isEntry: boolean
  /** Scripts that it needs before it runs; those that it loads later are not among them. */
  readonly imports: readonly string[]
}

/** Compressed bytes of JavaScript before anything is shown: with a slow connection of 1.6 Mbit/s that is 0.15 s. */
export const FIRST_BYTES = 30_000

/** Compressed bytes of all JavaScript of the page, every panel included. A visitor downloads a part of it. */
export const ALL_BYTES = 100_000

/** What is over the budget, in words; undefined where nothing is. */
export function overPageBudget(chunks: readonly PageChunk[]): string | undefined {
  const byName = new Map(chunks.map((chunk) => [chunk.name, chunk]))
  const first = new Set<PageChunk>()
  const open = chunks.filter(({ isEntry }) => isEntry)
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (first.has(next)) continue
    first.add(next)
    open.push(...next.imports.flatMap((name) => byName.get(name) ?? []))
  }
  const sum = (some: Iterable<PageChunk>) => [...some].reduce((total, { gzipBytes }) => total + gzipBytes, 0)
  const [firstBytes, allBytes] = [sum(first), sum(chunks)]
  if (first.size === 0) return 'The page has no script.'
  if (firstBytes > FIRST_BYTES) {
    return `The page downloads ${firstBytes} bytes of compressed JavaScript before it shows anything; its budget is ${FIRST_BYTES} (scripts/page/budget.ts). Import what is needed later with import().`
  }
  if (allBytes > ALL_BYTES) {
    return `The page has ${allBytes} bytes of compressed JavaScript in all; its budget is ${ALL_BYTES} (scripts/page/budget.ts).`
  }
  return undefined
}
