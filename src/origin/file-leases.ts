import { randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import { link, mkdir, readdir, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../core/runtime.ts'
import { absent } from './absent.ts'
import { isOfThisMachine, ownedDirName, removeStaleDirs } from './stale-dirs.ts'

/** A file with just the bytes asked for. It stays until it is released. */
export interface LeasedFile {
  readonly path: string
  release(): void
}

interface Lease {
  path: string
  users: number
}

/** A folder of another machine's process that has loaded nothing for so long: it was left behind. */
const LINKS_MS = 7 * 24 * 60 * 60 * 1000
const LINKS = 'links'

/**
 * The files of a folder that this process uses, as its own hard links: another process that deletes files there does
 * not remove them.
 */
export class FileLeases {
  readonly #files: string
  readonly #leasesFolder: string
  readonly #links: string
  readonly #clock: Pick<Clock, 'now'>
  readonly #leases = new Map<string, Lease>()

  /**
   * @param files the folder they are in
   * @param held for folders of links, one a process
   * @param clock counts from 1970, as the times of files do
   */
  constructor(files: string, held: string, clock: Pick<Clock, 'now'>) {
    this.#files = files
    this.#clock = clock
    this.#leasesFolder = held
    this.#links = join(held, ownedDirName(LINKS, randomBytes(4).toString('hex')))
  }

  /** Makes the folders, and clears away those of processes that are gone. */
  async open(): Promise<void> {
    await mkdir(this.#links, { recursive: true })
    await removeStaleDirs(this.#leasesFolder, LINKS)
    const now = this.#clock.now()
    for (const name of await readdir(this.#leasesFolder)) {
      const path = join(this.#leasesFolder, name)
      const found = await stat(path).catch(absent)
      const old = found !== null && now - found.mtimeMs > LINKS_MS
      if (old && !isOfThisMachine(name)) await rm(path, { recursive: true, force: true })
    }
  }

  has(name: string): boolean {
    return this.#leases.has(name)
  }

  /** Gives up everything. */
  async close(): Promise<void> {
    this.#leases.clear()
    await rm(this.#links, { recursive: true, force: true })
  }

  /** Null if the file is not there any more, or was let go by its last user in this moment. */
  async lease(name: string): Promise<LeasedFile | null> {
    const path = join(this.#files, name)
    const now = new Date(this.#clock.now())
    await utimes(path, now, now).catch(absent)
    const known = this.#leases.get(name)
    if (known !== undefined) {
      const there = (await stat(known.path).catch(absent)) !== null
      if (there && this.#leases.get(name) === known) return this.#use(name, known)
      if (!there && this.#leases.get(name) === known) this.#leases.delete(name)
      return null
    }
    await mkdir(this.#links, { recursive: true })
    const linked = join(this.#links, name)
    const outcome = await link(path, linked).then(
      () => 'linked' as const,
      (error: NodeJS.ErrnoException) => error.code,
    )
    if (outcome === 'ENOENT') return null
    // Another request of this process was faster; its link serves both.
    if (outcome === 'EEXIST') {
      const other = this.#leases.get(name)
      return other === undefined ? null : this.#use(name, other)
    }
    // Where there are no hard links, the file itself has to do.
    const lease = this.#leases.get(name) ?? { path: outcome === 'linked' ? linked : path, users: 0 }
    this.#leases.set(name, lease)
    return this.#use(name, lease)
  }

  #use(name: string, lease: Lease): LeasedFile {
    lease.users++
    let released = false
    return {
      path: lease.path,
      release: () => {
        if (released) return
        released = true
        lease.users--
        if (lease.users > 0 || this.#leases.get(name) !== lease) return
        this.#leases.delete(name)
        // Synchronous, so that a link that is created again meanwhile is not removed.
        if (lease.path !== join(this.#files, name)) rmSync(lease.path, { force: true })
      },
    }
  }
}
