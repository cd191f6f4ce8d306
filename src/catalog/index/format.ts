import * as z from 'zod'
import { modelName } from '../manifest.ts'
import { isEntry, type ModelEntry } from './entry.ts'

/** How the index lies in the source of truth: `index/head`, and pages that never change under `index/page/`. */
const INDEX_SCHEMA = 1

/** Entries that can be read together without the rest of their page, because the head says where they begin. */
export const BLOCK_ENTRIES = 64

/** A page's id: hours since 1970, so that a page that no head names can be known to be old, and something random. */
const pageId = z.string().regex(/^[0-9]{1,8}-[a-zA-Z0-9-]{8,64}$/)
const count = z.number().int().nonnegative()

/** Name of the first entry, entries, those of them that are public, bytes. */
const blockSchema = z.tuple([modelName, count, count, count])
const pageSchema = z.object({ id: pageId, blocks: z.array(blockSchema).min(1) })
const treeSchema = z.array(pageSchema)

const headSchema = z.object({
  schema: z.literal(INDEX_SCHEMA),
  /** Whether every model has an entry: false while the index is made. */
  complete: z.boolean(),
  /** Pages with every model, in the order of names. */
  all: treeSchema,
  /** The same with the public models alone, so that strangers' lists read nothing of others. */
  public: treeSchema,
})

export type IndexHead = z.infer<typeof headSchema>
export type IndexTree = IndexHead['all']
export type IndexPage = IndexTree[number]
export type IndexBlock = IndexPage['blocks'][number]
export type TreeName = 'all' | 'public'

export const EMPTY_HEAD: IndexHead = { schema: INDEX_SCHEMA, complete: false, all: [], public: [] }

/** Null where they are no head that this Verge understands. */
export function parseHead(bytes: Uint8Array): IndexHead | null {
  const parsed = headSchema.safeParse(jsonOf(new TextDecoder().decode(bytes)))
  return parsed.success && isInOrder(parsed.data.all) && isInOrder(parsed.data.public) ? parsed.data : null
}

/** Whether a newer Verge wrote the head: it is left alone. */
export function isNewer(bytes: Uint8Array): boolean {
  const parsed = z.object({ schema: z.number() }).safeParse(jsonOf(new TextDecoder().decode(bytes)))
  return parsed.success && parsed.data.schema > INDEX_SCHEMA
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
