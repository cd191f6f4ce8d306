import type { ModelEntry } from './entry.ts'
import {
  BLOCK_ENTRIES,
  bytesIn,
  entriesOf,
  firstOf,
  type IndexBlock,
  type IndexPage,
  type IndexTree,
  lineOf,
} from './format.ts'

/** Neighbours that together fill less of a page than this become one: it must not be split again by the next few models. */
const JOINED = 0.75

export interface TreeLimits {
  /** Entries of a page. */
  readonly indexPageEntries: number
  readonly indexPageBytes: number
}

export interface NewPage {
  readonly page: IndexPage
  readonly bytes: Uint8Array
}

export interface ChangedTree {
  readonly tree: IndexTree
  /** To be written before the head that names them. */
  readonly written: readonly NewPage[]
}

/** New entries by their model's name; null: the model is not in the tree. */
export type Changes = ReadonlyMap<string, ModelEntry | null>

interface TreeOptions {
  /** The entries of a page; null where they are lost. */
  readonly read: (page: IndexPage) => Promise<readonly ModelEntry[] | null>
  readonly newId: () => string
  readonly limits: TreeLimits
}

/** A page as it is, or the entries of a new one. */
type Part = { readonly page: IndexPage } | { readonly entries: readonly ModelEntry[] }

/**
 * A tree with changed entries. Pages that change are written anew under other ids; the others stay. A page that grows over
 * its limits is split, and one that shrinks joins its neighbour, so that two neighbours are three quarters of a page at
 * least.
 */
export async function changedTree(tree: IndexTree, changes: Changes, options: TreeOptions): Promise<ChangedTree> {
  const parts: Part[] = []
  const groups = changesByPage(tree, changes)
  if (tree.length === 0) parts.push({ entries: merged([], groups[0] ?? []) })
  for (const [i, page] of tree.entries()) {
    const mine = groups[i] ?? []
    const old = mine.length > 0 ? await options.read(page) : undefined
    const entries = merged(old ?? [], mine)
    parts.push(old === undefined || isSame(old, entries) ? { page } : { entries })
  }
  return written(await joined(parts, options), options)
}

/** The changes that are of each page, in the order of the pages. */
function changesByPage(tree: IndexTree, changes: Changes): [string, ModelEntry | null][][] {
  const groups: [string, ModelEntry | null][][] = Array.from({ length: Math.max(1, tree.length) }, () => [])
  for (const change of changes) groups[pageOf(tree, change[0])]?.push(change)
  return groups
}

/** The place of the page that has a name, or would have it. */
function pageOf(tree: IndexTree, model: string): number {
  const after = tree.findIndex((page) => firstOf(page) > model)
  return Math.max(0, (after === -1 ? tree.length : after) - 1)
}

function merged(
  old: readonly ModelEntry[],
  changes: readonly (readonly [string, ModelEntry | null])[],
): readonly ModelEntry[] {
  const entries = new Map(old.map((entry) => [entry.model, entry]))
  for (const [model, entry] of changes) {
    if (entry === null) entries.delete(model)
    else entries.set(model, entry)
  }
  return [...entries.values()].sort((a, b) => (a.model < b.model ? -1 : 1))
}

function isSame(old: readonly ModelEntry[] | null, entries: readonly ModelEntry[]): boolean {
  return JSON.stringify(old) === JSON.stringify(entries)
}

/** Changed parts that have room for a neighbour, with it. What became empty is left out. */
async function joined(parts: readonly Part[], { limits, read }: TreeOptions): Promise<Part[]> {
  const entriesIn = async (part: Part): Promise<readonly ModelEntry[]> =>
    'page' in part ? ((await read(part.page)) ?? []) : part.entries
  const result: Part[] = []
  for (const part of parts) {
    if ('entries' in part && part.entries.length === 0) continue
    const last = result.at(-1)
    if (last === undefined || !fitTogether(last, part, limits)) result.push(part)
    else result.splice(-1, 1, { entries: [...(await entriesIn(last)), ...(await entriesIn(part))] })
  }
  return result
}

function fitTogether(left: Part, right: Part, { indexPageBytes, indexPageEntries }: TreeLimits): boolean {
  if ('page' in left && 'page' in right) return false
  const [first, second] = [sizeOf(left), sizeOf(right)]
  return (
    first.entries + second.entries <= JOINED * indexPageEntries && first.bytes + second.bytes <= JOINED * indexPageBytes
  )
}

function sizeOf(part: Part): { readonly entries: number; readonly bytes: number } {
  if ('page' in part) return { entries: entriesOf(part.page.blocks), bytes: bytesIn(part.page.blocks) }
  const { entries } = part
  return { entries: entries.length, bytes: entries.reduce((sum, entry) => sum + lineOf(entry).length, 0) }
}

function written(parts: readonly Part[], { limits, newId }: TreeOptions): ChangedTree {
  const tree: IndexPage[] = []
  const pages: NewPage[] = []
  for (const part of parts) {
    if ('page' in part) {
      tree.push(part.page)
      continue
    }
    for (const made of pagesOf(part.entries, newId, limits)) {
      tree.push(made.page)
      pages.push(made)
    }
  }
  return { tree, written: pages }
}

/** Entries in as many pages as they need, about as full as each other. */
function pagesOf(entries: readonly ModelEntry[], newId: () => string, limits: TreeLimits): NewPage[] {
  const lines = entries.map((entry) => ({ entry, line: lineOf(entry) }))
  const bytes = lines.reduce((sum, { line }) => sum + line.length, 0)
  const least = Math.max(entries.length / limits.indexPageEntries, bytes / limits.indexPageBytes)
  const target = { entries: entries.length / Math.ceil(least), bytes: bytes / Math.ceil(least) }
  const pages: NewPage[] = []
  let mine: typeof lines = []
  let size = 0
  const close = (): void => {
    if (mine.length > 0) pages.push(pageWith(mine, newId()))
    mine = []
    size = 0
  }
  for (const each of lines) {
    // Each limit is one of its own: the pages of long entries are full by their bytes.
    if (size + each.line.length > limits.indexPageBytes || mine.length >= target.entries) close()
    mine.push(each)
    size += each.line.length
    if (size >= target.bytes && bytes / limits.indexPageBytes > 1) close()
  }
  close()
  return pages
}

function pageWith(lines: readonly { readonly entry: ModelEntry; readonly line: Uint8Array }[], id: string): NewPage {
  const blocks: IndexBlock[] = []
  for (let from = 0; from < lines.length; from += BLOCK_ENTRIES) {
    const block = lines.slice(from, from + BLOCK_ENTRIES)
    const open = block.filter(({ entry }) => entry.visibility === 'public').length
    blocks.push([
      block[0]?.entry.model ?? '',
      block.length,
      open,
      block.reduce((sum, { line }) => sum + line.length, 0),
    ])
  }
  const bytes = new Uint8Array(lines.reduce((sum, { line }) => sum + line.length, 0))
  let at = 0
  for (const { line } of lines) {
    bytes.set(line, at)
    at += line.length
  }
  return { page: { id, blocks }, bytes }
}
