import { randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import { link, mkdir, readdir, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { absent } from './absent.ts'
import { isOfThisMachine, ownedName, removeLeftovers } from './leftovers.ts'

/** A file with just the bytes asked for. It stays until it is released. */
export interface HeldFile {
  readonly path: string
  release(): void
}

interface Hold {
  path: string
  users: number
}

/** A folder of another machine's process that has loaded nothing for so long: it was left behind. */
const LINKS_MS = 7 * 24 * 60 * 60 * 1000
const LINKS = 'links'

/**
 * What this process uses of a folder of files, as hard links of its own: so another process that makes room there takes
 * nothing away from it.
 */
export class HeldFiles {
  readonly #files: string
  readonly #held: string
  readonly #links: string
  readonly #holds = new Map<string, Hold>()

  /** @param files the folder they are in. @param held for folders of links, one a process */
  constructor(files: string, held: string) {
    this.#files = files
    this.#held = held
    this.#links = join(held, ownedName(LINKS, randomBytes(4).toString('hex')))
  }

  /** Makes the folders, and clears away those of processes that are gone. */
  async open(): Promise<void> {
    await mkdir(this.#links, { recursive: true })
    await removeLeftovers(this.#held, LINKS)
    const now = Date.now()
    for (const name of await readdir(this.#held)) {
      const path = join(this.#held, name)
      const found = await stat(path).catch(absent)
      const old = found !== null && now - found.mtimeMs > LINKS_MS
      if (old && !isOfThisMachine(name)) await rm(path, { recursive: true, force: true })
    }
  }

  has(name: string): boolean {
    return this.#holds.has(name)
  }

  /** Gives up everything. */
  async close(): Promise<void> {
    this.#holds.clear()
    await rm(this.#links, { recursive: true, force: true })
  }

  /** Null if the file is not there any more, or was let go by its last user in this moment. */
  async claim(name: string): Promise<HeldFile | null> {
    const path = join(this.#files, name)
    const now = new Date()
    await utimes(path, now, now).catch(absent)
    const known = this.#holds.get(name)
    if (known !== undefined) {
      const there = (await stat(known.path).catch(absent)) !== null
      if (there && this.#holds.get(name) === known) return this.#use(name, known)
      if (!there && this.#holds.get(name) === known) this.#holds.delete(name)
      return null
    }
    await mkdir(this.#links, { recursive: true })
    const linked = join(this.#links, name)
    const outcome = await link(path, linked).then(
      () => 'linked' as const,
      (error: NodeJS.ErrnoException) => error.code,
    )
    if (outcome === 'ENOENT') return null
    // Another request of this process was faster; what it holds is held for both.
    if (outcome === 'EEXIST') {
      const other = this.#holds.get(name)
      return other === undefined ? null : this.#use(name, other)
    }
    // Where there are no hard links, the file itself has to do.
    const hold = this.#holds.get(name) ?? { path: outcome === 'linked' ? linked : path, users: 0 }
    this.#holds.set(name, hold)
    return this.#use(name, hold)
  }

  #use(name: string, hold: Hold): HeldFile {
    hold.users++
    let released = false
    return {
      path: hold.path,
      release: () => {
        if (released) return
        released = true
        hold.users--
        if (hold.users > 0 || this.#holds.get(name) !== hold) return
        this.#holds.delete(name)
        // At once: a link that is made again meanwhile must not be the one that is taken away.
        if (hold.path !== join(this.#files, name)) rmSync(hold.path, { force: true })
      },
    }
  }
}
