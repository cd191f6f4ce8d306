import type { Alias } from '../alias.ts'
import type { ModelEntry } from './entry.ts'
import { firstOf, type IndexBlock, type IndexPage, type TreeName } from './format.ts'

/** Which models a list may have. */
export interface ListScope {
  /** `public`: what anyone may see, and nothing else is read. */
  readonly tree: TreeName
  /**
   * Of `all`, those that it may have: names, and beginnings of names with a "*" behind them; `open`: every public model,
   * too. Left out: all of them.
   */
  readonly some?: { readonly names: readonly string[]; readonly open: boolean }
  /** The decision for each model; always asked. */
  readonly sees: (model: Pick<Alias, 'model' | 'visibility'>) => boolean
}

/** A part of the list of models, by name. */
export interface ListQuery {
  readonly scope: ListScope
  /** Most entries. */
  readonly limit: number
  /** Names after this one, or before that one: then the last of them. */
  readonly after?: string | undefined
  readonly before?: string | undefined
  /** Names that begin so. */
  readonly prefix?: string | undefined
  /** Whether `main` of the entries is needed: without the index that is a read for each. */
  readonly manifests: boolean
}

export interface ModelPage {
  /** In the order of their names. May be fewer than asked for, also none, where `next` is there. */
  readonly entries: readonly ModelEntry[]
  /** Where the list goes on: `after` of the next query, or `before` where the query has that. Absent at its end. */
  readonly next?: string
}

/** A block and where it is in its page. */
export interface PlacedBlock {
  readonly page: IndexPage
  /** Its place among the blocks of the page. */
  readonly at: number
  readonly block: IndexBlock
}

/** The blocks of a tree that may have entries for a query, in the order in which the list goes. */
export function* blocksFor(tree: readonly IndexPage[], query: ListQuery): Generator<PlacedBlock> {
  const back = query.before !== undefined
  for (const i of order(tree.length, back)) {
    const page = tree[i]
    if (page === undefined) continue
    const following = tree[i + 1]
    const end = following && firstOf(following)
    for (const at of order(page.blocks.length, back)) {
      const block = page.blocks[at]
      if (block !== undefined && mayHold(block, page.blocks[at + 1]?.[0] ?? end, query)) yield { page, at, block }
    }
  }
}

function* order(length: number, back: boolean): Generator<number> {
  for (let i = 0; i < length; i++) yield back ? length - 1 - i : i
}

/** @param end the first name behind the block; undefined: it is the last */
function mayHold([first, , open]: IndexBlock, end: string | undefined, query: ListQuery): boolean {
  const { after, before, prefix, scope } = query
  // Behind `after` is from the next longer string on.
  const from = after !== undefined && after >= first ? `${after}\0` : first
  const to = before !== undefined && (end === undefined || before < end) ? before : end
  if (to !== undefined && to <= from) return false
  if (prefix !== undefined && !overlaps(from, to, `${prefix}*`)) return false
  const { some } = scope
  return some === undefined || (some.open && open > 0) || some.names.some((name) => overlaps(from, to, name))
}

/** Behind all names that begin with what is before it: no name has it. */
const LAST = '~'

/** Whether names from `from` to before `to` may be that name, or begin as its "*" says. */
function overlaps(from: string, to: string | undefined, pattern: string): boolean {
  const { begin, isPrefix } = readPattern(pattern)
  if (to !== undefined && to <= begin) return false
  return isPrefix ? from < begin + LAST : from <= begin
}

function readPattern(pattern: string): { readonly begin: string; readonly isPrefix: boolean } {
  const isPrefix = pattern.endsWith('*')
  return { begin: isPrefix ? pattern.slice(0, -1) : pattern, isPrefix }
}

/**
 * Where the list of a caller who sees some models goes on, after reads that may have found none of them: `after` of the next
 * query. It must not be the name of a model that the caller may not know of: it is one of the list, or part of what the
 * caller was granted. Undefined where it would lead nowhere.
 * @param last the last name of the list so far
 * @param next the first name that has not been looked at, or one before it
 */
export function safeCursor({ after, scope }: ListQuery, last: string | undefined, next: string): string | undefined {
  const granted = (scope.some?.names ?? []).flatMap((pattern) => {
    const { begin, isPrefix } = readPattern(pattern)
    return isPrefix ? [begin, begin + LAST] : [begin]
  })
  const known = [...granted, ...(last === undefined ? [] : [last])].filter((name) => name < next && name !== '')
  const furthest = known.sort().at(-1)
  return furthest !== undefined && (after === undefined || furthest > after) ? furthest : undefined
}

export function isWanted({ model, visibility }: Pick<Alias, 'model' | 'visibility'>, query: ListQuery): boolean {
  const { after, before, prefix, scope } = query
  if ((after !== undefined && model <= after) || (before !== undefined && model >= before)) return false
  if (prefix !== undefined && !model.startsWith(prefix)) return false
  return (scope.tree === 'all' || visibility === 'public') && scope.sees({ model, visibility })
}
