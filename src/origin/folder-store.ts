import { createHash, randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { throwIfAborted, VergeError } from '../core/errors.ts'
import { untilAborted } from '../core/runtime.ts'
import { bodyOf, byteReader, unavailable } from '../weights/body.ts'
import type {
  ByteRange,
  GetOptions,
  ListOptions,
  ListPage,
  PutOptions,
  Store,
  StoredInfo,
  StoredValue,
  StoreOptions,
} from '../weights/store.ts'

export interface FolderStoreOptions {
  readonly name?: string
  /** Keys a page of `list`. */
  readonly pageSize?: number
}

/** Maximum length of a file name, minus the suffix of a temporary name. */
const MOST_NAME = 230
/** No key is written with it: `encodeURIComponent` leaves no `~` behind here. */
const TEMPORARY = '~'
const PIECE_BYTES = 256 * 1024

/**
 * A store in a folder, one file a key, for Node. A value appears whole or not at all, also to other processes; conditions
 * on a write hold among the writers of one process.
 */
export class FolderStore implements Store {
  readonly name: string
  readonly #folder: string
  readonly #pageSize: number
  /** Conditional writes are a look and a write: one after the other. */
  #writing: Promise<unknown> = Promise.resolve()

  constructor(folder: string, options: FolderStoreOptions = {}) {
    this.name = options.name ?? 'folder'
    this.#folder = folder
    this.#pageSize = options.pageSize ?? 1000
  }

  async head(key: string, { signal }: StoreOptions = {}): Promise<StoredInfo | null> {
    throwIfAborted(signal)
    const path = this.#pathOf(key)
    if (path === null) return null
    const looking = stat(path, { bigint: true }).catch((error) => this.#absent(error))
    const found = await untilAborted(looking, signal)
    return found === null ? null : infoOf(found)
  }

  async get(key: string, options: GetOptions = {}): Promise<StoredValue | null> {
    const { signal } = options
    throwIfAborted(signal)
    const path = this.#pathOf(key)
    if (path === null) return null
    return untilAborted(this.#open(path, options), signal, (late) => {
      late?.body.cancel('too late').catch(() => {})
    })
  }

  async #open(path: string, { range, signal }: GetOptions): Promise<StoredValue | null> {
    // Opened before its size is asked for, so that size and bytes are of one value.
    const file = await open(path, 'r').catch((error) => this.#absent(error))
    if (file === null) return null
    try {
      const info = infoOf(await file.stat({ bigint: true }))
      return { ...info, body: this.#body(file, info.bytes, range, signal) }
    } catch (error) {
      await file.close()
      throw unavailable(this.name, error)
    }
  }

  async put(key: string, value: Uint8Array, { onlyIf, signal }: PutOptions = {}): Promise<StoredInfo | null> {
    throwIfAborted(signal)
    const path = this.#pathOf(key)
    if (path === null) {
      throw new VergeError('store_unavailable', `Keys in a folder have at most ${MOST_NAME} bytes when encoded.`)
    }
    const bytes = value.slice()
    const write = async (): Promise<StoredInfo | null> => {
      throwIfAborted(signal)
      const present = onlyIf === undefined ? null : await this.head(key)
      if (onlyIf === 'absent' ? present !== null : onlyIf !== undefined && present?.etag !== onlyIf.etag) return null
      return this.#write(path, bytes).catch((error: unknown) => {
        throw unavailable(this.name, error)
      })
    }
    const written = this.#writing.then(write)
    this.#writing = written.catch(() => {})
    return untilAborted(written, signal)
  }

  async list(prefix: string, { cursor, signal }: ListOptions = {}): Promise<ListPage> {
    throwIfAborted(signal)
    const reading = readdir(this.#folder).catch((error) => this.#absent(error))
    const names = (await untilAborted(reading, signal)) ?? []
    const keys = names
      .filter((name) => !name.includes(TEMPORARY))
      .map(decodeName)
      .filter((key) => key?.startsWith(prefix) === true)
      .map((key) => ({ key: key ?? '', bytes: Buffer.from(key ?? '') }))
      .sort((a, b) => Buffer.compare(a.bytes, b.bytes))
    const after = cursor === undefined ? undefined : Buffer.from(cursor)
    const rest = after === undefined ? keys : keys.filter(({ bytes }) => Buffer.compare(bytes, after) > 0)
    const page = rest.slice(0, this.#pageSize).map(({ key }) => key)
    const last = page.at(-1)
    return last !== undefined && page.length < rest.length ? { keys: page, cursor: last } : { keys: page }
  }

  async delete(key: string, { signal }: StoreOptions = {}): Promise<void> {
    throwIfAborted(signal)
    const path = this.#pathOf(key)
    if (path === null) return
    const removing = rm(path, { force: true }).catch((error: unknown) => {
      throw unavailable(this.name, error)
    })
    await untilAborted(removing, signal)
  }

  #body(
    file: FileHandle,
    bytes: number,
    range: ByteRange | undefined,
    signal: AbortSignal | undefined,
  ): ReadableStream<Uint8Array> {
    const start = Math.min(range?.offset ?? 0, bytes)
    const end = Math.min(bytes, start + (range?.length ?? bytes))
    if (start === end) {
      void file.close()
      return new ReadableStream({ start: (controller) => controller.close() })
    }
    const stream = createReadStream('', { fd: file, start, end: end - 1, highWaterMark: PIECE_BYTES })
    // What breaks is told by the body; without a listener Node would end the process as well.
    stream.on('error', () => {})
    const body = Readable.toWeb(stream) as ReadableStream<Uint8Array>
    return bodyOf(byteReader(body), { store: this.name, ...(signal && { signal }) })
  }

  async #write(path: string, bytes: Uint8Array): Promise<StoredInfo> {
    await mkdir(this.#folder, { recursive: true })
    const temporary = `${path}${TEMPORARY}${randomBytes(6).toString('hex')}`
    try {
      const file = await open(temporary, 'wx')
      try {
        await file.writeFile(bytes)
        await file.sync()
        const info = infoOf(await file.stat({ bigint: true }))
        await rename(temporary, path)
        return info
      } finally {
        await file.close()
      }
    } finally {
      await rm(temporary, { force: true })
    }
  }

  #pathOf(key: string): string | null {
    const name = encodeName(key)
    return name === null ? null : join(this.#folder, name)
  }

  #absent(error: NodeJS.ErrnoException): null {
    if (error.code === 'ENOENT') return null
    throw unavailable(this.name, error)
  }
}

/** Null where no file can have the name. Every key has one name, and no name leads out of the folder. */
function encodeName(key: string): string | null {
  if (key === '' || key.length > MOST_NAME || !key.isWellFormed()) return null
  const name = encodeURIComponent(key)
    .replace(/[~*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
    .replace(/^\./, '%2E')
  return name.length > MOST_NAME ? null : name
}

function decodeName(name: string): string | undefined {
  try {
    return decodeURIComponent(name)
  } catch {
    return undefined
  }
}

/** A write creates a new file, with a new inode and times. */
function infoOf(found: { readonly size: bigint; readonly ino: bigint; readonly mtimeNs: bigint }): StoredInfo {
  const etag = createHash('sha256').update(`${found.ino} ${found.mtimeNs} ${found.size}`).digest('hex').slice(0, 32)
  return { bytes: Number(found.size), etag }
}
