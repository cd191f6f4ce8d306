import { createHash, randomBytes } from 'node:crypto'
import { closeSync, createReadStream, openSync, writeSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { isVergeError, throwIfAborted, VergeError } from '../core/errors.ts'
import type { Clock, Logger } from '../core/runtime.ts'
import type { ByteSource } from '../engine/engine.ts'
import { absent } from './absent.ts'
import { FileLeases, type LeasedFile } from './file-leases.ts'

export interface DiskCacheOptions {
  readonly folder: string
  /** Bytes that the files may take together; files in use are kept beyond it. */
  readonly budgetBytes: number
  readonly logger: Logger
  /** Counts from 1970, as the times of files do. */
  readonly clock: Pick<Clock, 'now'>
  /** Bytes that this user may still write on a folder's disk; asked of the system if left out. */
  readonly freeBytes?: (folder: string) => Promise<number>
}

/** With less, not even a small model and the copies of the catalogue are sure to have room. */
const LEAST_FREE_BYTES = 64 * 1024 * 1024

/** What identifies a file: its bytes have this digest. */
export interface FileIdentity {
  readonly sha256: string
  readonly bytes: number
}

/** A temporary file older than this was left by a process that is gone. */
const TEMPORARY_MS = 24 * 60 * 60 * 1000
const PIECE_BYTES = 1024 * 1024
const DIGEST = /^[0-9a-f]{64}$/

/**
 * Artifacts on disk, whole and by digest, for engines that read weights themselves.
 *
 *     files/<sha256>            complete; the time of its last use is its modification time
 *     files/<sha256>~<random>   being written
 *     held/                     what processes use (`HeldFiles`)
 *
 * A file is digested when it is written and again at its first use by a process. Several processes may share a folder.
 */
export class DiskCache {
  readonly #files: string
  readonly #held: FileLeases
  readonly #budgetBytes: number
  readonly #logger: Logger
  readonly #clock: Pick<Clock, 'now'>
  readonly #verified = new Set<string>()
  #bytes = 0

  private constructor({ folder, budgetBytes, clock, logger }: DiskCacheOptions) {
    this.#files = join(folder, 'files')
    this.#held = new FileLeases(this.#files, join(folder, 'held'), clock)
    this.#budgetBytes = budgetBytes
    this.#logger = logger
    this.#clock = clock
  }

  /** Opens a folder, creates it if it does not exist, and removes files of dead processes. */
  static async open(options: DiskCacheOptions): Promise<DiskCache> {
    const cache = new DiskCache(options)
    await mkdir(cache.#files, { recursive: true })
    await cache.#held.open()
    await cache.#clearLeftovers()
    await cache.#makeRoom(0)
    await cache.#sayWhatIsFree(options.freeBytes ?? freeBytesOf)
    return cache
  }

  /** Bytes of all files, as of the last change by this process. */
  get bytes(): number {
    return this.#bytes
  }

  /**
   * A file with these bytes, from disk if it is intact there, else from the source.
   * @throws weights_corrupt, weights_unavailable, errors of the source, cancelled
   */
  async hold(identity: FileIdentity, source: Pick<ByteSource, 'deliver'>, signal?: AbortSignal): Promise<LeasedFile> {
    const { sha256 } = identity
    if (!DIGEST.test(sha256)) throw new VergeError('manifest_invalid', 'A digest is 64 lower-case hexadecimal digits.')
    for (;;) {
      throwIfAborted(signal)
      if (!(await this.#isWhole(identity, signal))) await this.#fetch(identity, source, signal)
      const held = await this.#held.lease(sha256)
      // Another process may have made room in between.
      if (held !== null) return held
    }
  }

  /** All bytes of a small file. @throws as `hold` */
  async read(identity: FileIdentity, source: Pick<ByteSource, 'deliver'>, signal?: AbortSignal): Promise<Uint8Array> {
    const held = await this.hold(identity, source, signal)
    try {
      return new Uint8Array(await readFile(held.path))
    } finally {
      held.release()
    }
  }

  /** Gives up everything that is held. */
  close(): Promise<void> {
    return this.#held.close()
  }

  async #isWhole({ sha256, bytes }: FileIdentity, signal: AbortSignal | undefined): Promise<boolean> {
    const path = join(this.#files, sha256)
    const found = await stat(path).catch(absent)
    if (found === null) {
      this.#verified.delete(sha256)
      return false
    }
    const whole = found.size === bytes && (this.#verified.has(sha256) || (await digestOf(path, signal)) === sha256)
    if (whole) {
      this.#verified.add(sha256)
      return true
    }
    this.#logger.warn('cache_damaged', { sha256, bytes: found.size, expected: bytes })
    this.#verified.delete(sha256)
    await rm(path, { force: true })
    return false
  }

  async #fetch(
    { sha256, bytes }: FileIdentity,
    source: Pick<ByteSource, 'deliver'>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    await this.#makeRoom(bytes)
    const temporary = join(this.#files, `${sha256}~${randomBytes(6).toString('hex')}`)
    const file = openSync(temporary, 'wx')
    try {
      try {
        await source.deliver((offset, data) => writeAll(file, offset, data, bytes), signal)
      } finally {
        closeSync(file)
      }
      if ((await digestOf(temporary, signal)) !== sha256) {
        throw new VergeError(
          'weights_corrupt',
          'The weights differ from the manifest, although every chunk is correct. Push this version again.',
          { details: { sha256 } },
        )
      }
      await rename(temporary, join(this.#files, sha256))
      this.#verified.add(sha256)
      this.#bytes += bytes
    } catch (error) {
      await rm(temporary, { force: true })
      throw isVergeError(error) ? error : diskFailure(error)
    }
  }

  /**
   * An origin serves its cached models even on a full disk; the operator must know before the first model that does not
   * fit.
   */
  async #sayWhatIsFree(freeBytes: (folder: string) => Promise<number>): Promise<void> {
    const free = await freeBytes(this.#files)
    const fields = { free, used: this.#bytes, budget: this.#budgetBytes }
    if (free < LEAST_FREE_BYTES) this.#logger.error('cache_disk_full', fields)
    else if (this.#bytes + free < this.#budgetBytes) this.#logger.warn('cache_disk_small', fields)
  }

  /** Removes the least recently used files that are not in use, until `bytes` more fit the budget. */
  async #makeRoom(bytes: number): Promise<void> {
    const files: { readonly name: string; readonly size: number; readonly used: number }[] = []
    for (const name of await readdir(this.#files)) {
      const found = await stat(join(this.#files, name)).catch(absent)
      if (found !== null && DIGEST.test(name)) files.push({ name, size: found.size, used: found.mtimeMs })
    }
    let total = files.reduce((sum, { size }) => sum + size, 0)
    for (const { name, size } of files.sort((a, b) => a.used - b.used)) {
      if (total + bytes <= this.#budgetBytes) break
      if (this.#held.has(name)) continue
      await rm(join(this.#files, name), { force: true })
      this.#verified.delete(name)
      this.#logger.info('cache_dropped', { sha256: name, bytes: size })
      total -= size
    }
    this.#bytes = total
    if (total + bytes > this.#budgetBytes) {
      this.#logger.warn('cache_over_budget', { bytes: total + bytes, budget: this.#budgetBytes })
    }
  }

  async #clearLeftovers(): Promise<void> {
    const now = this.#clock.now()
    for (const name of await readdir(this.#files)) {
      const path = join(this.#files, name)
      const found = await stat(path).catch(absent)
      if (name.includes('~') && found !== null && now - found.mtimeMs > TEMPORARY_MS) await rm(path, { force: true })
    }
  }
}

async function freeBytesOf(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder)
  return bavail * bsize
}

async function digestOf(path: string, signal: AbortSignal | undefined): Promise<string> {
  const hash = createHash('sha256')
  for await (const piece of createReadStream(path, { highWaterMark: PIECE_BYTES })) {
    throwIfAborted(signal)
    hash.update(piece as Uint8Array)
  }
  return hash.digest('hex')
}

/** The source may use its memory again when this returns, so it cannot be put off. */
function writeAll(file: number, offset: number, data: Uint8Array, bytes: number): void {
  if (offset < 0 || offset + data.length > bytes) {
    throw new VergeError('weights_corrupt', 'The weights are longer than the manifest declares. Push the model again.')
  }
  for (let done = 0; done < data.length; ) {
    done += writeSync(file, data, done, data.length - done, offset + done)
  }
}

function diskFailure(cause: unknown): VergeError {
  const full = (cause as NodeJS.ErrnoException).code === 'ENOSPC'
  return new VergeError(
    'weights_unavailable',
    full
      ? 'The disk of this origin is full. Free some space, or set a smaller --cache-gb.'
      : 'The cache could not be written.',
    { cause, retryAfter: 30 },
  )
}
