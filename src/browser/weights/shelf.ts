import type { Clock } from '../../core/runtime.ts'
import { type KeptFiles, type KeptWriter, type NamedFile, namedFile, StorageFull } from './kept.ts'
import { tabLocks } from './locks.ts'
import type { ShelfIndex } from './shelf-index.ts'

/** A version of a model, as what is kept belongs to it. */
export interface Owner {
  readonly model: string
  readonly version: string
}

/** What the page is told of what it keeps. */
export interface StorageUsage {
  /** `memory`: nothing outlives the page. */
  readonly kind: KeptFiles['kind']
  readonly usedBytes: number
  readonly quotaBytes: number
  readonly models: readonly (Owner & { readonly bytes: number; readonly usedAt: number })[]
}

export interface ShelfOptions {
  readonly files: KeptFiles
  readonly index: ShelfIndex
  readonly quotaBytes: number
  /** What the browser would give the page's origin, and what the origin uses of it. */
  readonly estimate?: () => Promise<{ readonly quota?: number; readonly usage?: number }>
  readonly clock: Pick<Clock, 'now'>
}

/** Kept files within a quota: what was used least recently goes first. */
export class Shelf {
  readonly #options: ShelfOptions
  /** By name, with those that are being written. A beginning counts as the whole file. */
  #sizes: Map<string, NamedFile> | undefined
  #mostBytes = Number.POSITIVE_INFINITY
  readonly #turns = tabLocks()

  constructor(options: ShelfOptions) {
    this.#options = options
  }

  get kind(): KeptFiles['kind'] {
    return this.#options.files.kind
  }

  /** What there is of a file, unverified; null where there is nothing. */
  async read(name: string, mostBytes: number): Promise<Uint8Array<ArrayBuffer> | null> {
    // Storage that cannot be read is as good as none.
    return this.#options.files.read(name, mostBytes).catch(() => null)
  }

  /**
   * Opens a file for writing, with room made for all of it; null while another tab writes it.
   * @throws StorageFull
   */
  async write(file: NamedFile, owner: Owner, from: number): Promise<KeptWriter | null> {
    // One after the other, so that the same room is not promised twice.
    return this.#turns.alone('room', async () => {
      const sizes = await this.#files()
      if (!sizes.has(file.name)) {
        await this.#makeRoom(file.bytes, owner)
        sizes.set(file.name, file)
      }
      return this.#options.files.write(file.name, from)
    })
  }

  async remove(name: string): Promise<void> {
    this.#sizes?.delete(name)
    await this.#options.files.remove(name).catch(() => {})
  }

  /** Notes that a version uses these blobs now. */
  async used(owner: Owner, blobs: readonly string[]): Promise<void> {
    await this.#options.index.note(owner, blobs, this.#options.clock.now())
    // Other tabs may have stored something since.
    await this.#count()
  }

  /** Bytes of a blob's chunks that need no download, if they are intact. */
  async bytesOf(chunks: readonly { readonly name: string }[]): Promise<number> {
    const sizes = await this.#files()
    return chunks.reduce((sum, { name }) => sum + (sizes.get(name)?.bytes ?? 0), 0)
  }

  async usage(): Promise<StorageUsage> {
    const files = [...(await this.#count()).values()]
    const entries = await this.#options.index.entries()
    return {
      kind: this.kind,
      usedBytes: sum(files),
      quotaBytes: await this.#quota(),
      models: entries.map(({ blobs, model, usedAt, version }) => ({
        model,
        version,
        usedAt,
        bytes: sum(files.filter(({ sha256 }) => blobs.includes(sha256))),
      })),
    }
  }

  /** Removes what is kept of a model, or of all. What is loaded keeps running. */
  async clear(model?: string): Promise<void> {
    await this.#options.index.drop((entry) => model === undefined || entry.model === model)
    const kept = new Set((await this.#options.index.entries()).flatMap(({ blobs }) => blobs))
    for (const { name, sha256 } of (await this.#count()).values()) if (!kept.has(sha256)) await this.remove(name)
  }

  async #makeRoom(bytes: number, owner: Owner): Promise<void> {
    const sizes = await this.#files()
    const used = (): number => sum([...sizes.values()])
    const quota = await this.#quota()
    while (used() + bytes > quota) {
      const victims = await this.#victims(owner)
      if (victims.length === 0) throw new StorageFull(`The quota of ${quota} bytes has no room for ${bytes} more.`)
      for (const name of victims) await this.remove(name)
    }
  }

  /** The files of nobody, or those that the version which was used least recently has alone. */
  async #victims(owner: Owner): Promise<string[]> {
    const files = [...(await this.#files()).values()]
    const entries = await this.#options.index.entries()
    const owned = new Set(entries.flatMap(({ blobs }) => blobs))
    const orphans = files.filter(({ sha256 }) => !owned.has(sha256))
    if (orphans.length > 0) return orphans.map(({ name }) => name)
    const others = entries.filter(({ model, version }) => model !== owner.model || version !== owner.version)
    for (const entry of others.sort((a, b) => a.usedAt - b.usedAt)) {
      await this.#options.index.drop(({ model, version }) => model === entry.model && version === entry.version)
      const shared = new Set(entries.filter((other) => other !== entry).flatMap(({ blobs }) => blobs))
      const own = files.filter(({ sha256 }) => entry.blobs.includes(sha256) && !shared.has(sha256))
      if (own.length > 0) return own.map(({ name }) => name)
    }
    return []
  }

  /** Half of what was left when the files were counted stays the page's own. */
  async #quota(): Promise<number> {
    await this.#files()
    return Math.min(this.#options.quotaBytes, this.#mostBytes)
  }

  async #files(): Promise<Map<string, NamedFile>> {
    return this.#sizes ?? this.#counted()
  }

  /** Counts again, while nothing that is to be written has been promised room without being there. */
  #count(): Promise<Map<string, NamedFile>> {
    return this.#turns.alone('room', () => this.#counted())
  }

  async #counted(): Promise<Map<string, NamedFile>> {
    const names = await this.#options.files.names().catch(() => [])
    const sizes = new Map(names.flatMap((name) => entryOf(name)))
    this.#sizes = sizes
    const { quota, usage } = (await this.#options.estimate?.().catch(() => undefined)) ?? {}
    if (quota !== undefined && usage !== undefined) {
      this.#mostBytes = sum([...sizes.values()]) + Math.max(0, Math.floor((quota - usage) / 2))
    }
    return sizes
  }
}

function entryOf(name: string): (readonly [string, NamedFile])[] {
  const file = namedFile(name)
  return file === undefined ? [] : [[name, file]]
}

function sum(files: readonly NamedFile[]): number {
  return files.reduce((total, { bytes }) => total + bytes, 0)
}
