import { type KeptFiles, writeWhole } from './kept.ts'
import type { Locks } from './locks.ts'
import type { Owner } from './shelf.ts'

/** What a version of a model has of the kept files. */
export interface IndexEntry extends Owner {
  /** SHA-256 of chunks, and of files of pages. */
  readonly blobs: readonly string[]
  /** Milliseconds since 1970. */
  readonly usedAt: number
}

/** Name of the file. */
const INDEX = 'index.json'

/**
 * Which version uses which files, and when it did: a file of its own, which the tabs of a page's origin share. It decides what
 * goes first when room is needed, and nothing else. One that is damaged is as good as an empty one.
 */
export class ShelfIndex {
  readonly #files: KeptFiles
  readonly #locks: Locks
  readonly #mostBytes: number

  constructor(files: KeptFiles, locks: Locks, mostBytes: number) {
    this.#files = files
    this.#locks = locks
    this.#mostBytes = mostBytes
  }

  async entries(): Promise<readonly IndexEntry[]> {
    return this.#locks.alone(INDEX, () => this.#read())
  }

  async note({ model, version }: Owner, blobs: readonly string[], now: number): Promise<void> {
    await this.#change((entries) => {
      const before = entries.find((entry) => entry.model === model && entry.version === version)
      const all = [...new Set([...(before?.blobs ?? []), ...blobs])]
      const usedAt = Math.max(now, before?.usedAt ?? 0)
      return [...entries.filter((entry) => entry !== before), { model, version, blobs: all, usedAt }]
    })
  }

  async drop(whether: (entry: IndexEntry) => boolean): Promise<void> {
    await this.#change((entries) => entries.filter((entry) => !whether(entry)))
  }

  async #change(change: (entries: readonly IndexEntry[]) => readonly IndexEntry[]): Promise<void> {
    await this.#locks.alone(INDEX, async () => {
      const text = new TextEncoder().encode(JSON.stringify(change(await this.#read())))
      // Without room for the index, files are as if nobody used them.
      try {
        await writeWhole(await this.#files.write(INDEX, 0), text)
      } catch {}
    })
  }

  async #read(): Promise<readonly IndexEntry[]> {
    const bytes = await this.#files.read(INDEX, this.#mostBytes).catch(() => null)
    try {
      const value: unknown = JSON.parse(new TextDecoder().decode(bytes ?? new Uint8Array()))
      return Array.isArray(value) ? value.filter(isEntry) : []
    } catch {
      return []
    }
  }
}

function isEntry(value: unknown): value is IndexEntry {
  if (typeof value !== 'object' || value === null) return false
  const { blobs, model, usedAt, version } = value as Partial<Record<keyof IndexEntry, unknown>>
  return (
    typeof model === 'string' &&
    typeof version === 'string' &&
    typeof usedAt === 'number' &&
    Array.isArray(blobs) &&
    blobs.every((blob) => typeof blob === 'string')
  )
}
