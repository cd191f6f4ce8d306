import { isObject } from '../../core/objects.ts'
import { MODEL_NAME } from '../manifest.ts'
import { isEntry, type ModelEntry } from './entry.ts'

/** How the index lies in the source of truth: `index/head`, and pages that never change under `index/page/`. */
const INDEX_SCHEMA = 1

/** Entries that can be read together without the rest of their page, because the head says where they begin. */
export const BLOCK_ENTRIES = 64

/** Name of the first entry, entries, those of them that are public, bytes. */
export type IndexBlock = readonly [first: string, entries: number, open: number, bytes: number]

export interface IndexPage {
  /** Hours since 1970, so that a page that no head names can be known to be old, and something random. */
  readonly id: string
  /** At least one. */
  readonly blocks: readonly IndexBlock[]
}

/** Pages in the order of names. */
export type IndexTree = readonly IndexPage[]

export interface IndexHead {
  readonly schema: typeof INDEX_SCHEMA
  /** Whether every model has an entry: false while the index is made. */
  readonly complete: boolean
  /** Pages with every model. */
  readonly all: IndexTree
  /** The same with the public models alone, so that strangers' lists read nothing of others. */
  readonly public: IndexTree
}

export type TreeName = 'all' | 'public'

export const EMPTY_HEAD: IndexHead = { schema: INDEX_SCHEMA, complete: false, all: [], public: [] }

/**
 * Null where they are no head that this Verge understands. Checked by hand: an isolate reads one every few seconds, and the
 * head of ten thousand models has hundreds of blocks.
 */
export function parseHead(bytes: Uint8Array): IndexHead | null {
  const value = jsonOf(new TextDecoder().decode(bytes))
  return isHead(value) && isInOrder(value.all) && isInOrder(value.public) ? value : null
}

function isHead(value: unknown): value is IndexHead {
  if (!isObject(value)) return false
  const { all, complete, public: open, schema } = value
  return schema === INDEX_SCHEMA && typeof complete === 'boolean' && isTree(all) && isTree(open)
}

function isTree(value: unknown): value is IndexTree {
  return Array.isArray(value) && value.every(isPage)
}

const PAGE_ID = /^[0-9]{1,8}-[a-zA-Z0-9-]{8,64}$/

function isPage(value: unknown): value is IndexPage {
  if (!isObject(value)) return false
  const { blocks, id } = value
  return (
    typeof id === 'string' && PAGE_ID.test(id) && Array.isArray(blocks) && blocks.length > 0 && blocks.every(isBlock)
  )
}

function isBlock(value: unknown): value is IndexBlock {
  if (!Array.isArray(value) || value.length !== 4) return false
  const [first, ...counts] = value as readonly unknown[]
  return typeof first === 'string' && MODEL_NAME.test(first) && counts.every(isCount)
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0
}

/** Whether a newer Verge wrote the head: it is left alone. */
export function isNewer(bytes: Uint8Array): boolean {
  const value = jsonOf(new TextDecoder().decode(bytes))
  return isObject(value) && typeof value.schema === 'number' && value.schema > INDEX_SCHEMA
}

export function headBytes(head: IndexHead): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(head))
}

/** An entry as a page has it: a line of JSON. */
export function lineOf(entry: ModelEntry): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(entry)}\n`)
}

/**
 * The entries of whole lines. Null where they are not what the head says of them.
 * @param first the name of the first
 */
export function entriesIn(bytes: Uint8Array, first: string, entries: number): ModelEntry[] | null {
  const lines = new TextDecoder().decode(bytes).split('\n')
  if (lines.pop() !== '' || lines.length !== entries) return null
  const found: ModelEntry[] = []
  for (const line of lines) {
    const entry = jsonOf(line)
    const last = found.at(-1)
    if (!isEntry(entry) || (last !== undefined && last.model >= entry.model)) return null
    found.push(entry)
  }
  return found[0]?.model === first ? found : null
}

export function firstOf({ blocks }: IndexPage): string {
  return blocks[0]?.[0] ?? ''
}

/** Entries of all blocks. */
export function entriesOf(blocks: readonly IndexBlock[]): number {
  return blocks.reduce((sum, [, entries]) => sum + entries, 0)
}

export function bytesIn(blocks: readonly IndexBlock[]): number {
  return blocks.reduce((sum, [, , , bytes]) => sum + bytes, 0)
}

/** Model names are of ASCII, where strings compare as their bytes do. */
function isInOrder(tree: IndexTree): boolean {
  const firsts = tree.flatMap(({ blocks }) => blocks.map(([first]) => first))
  return firsts.every((first, i) => i === 0 || (firsts[i - 1] ?? '') < first)
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
