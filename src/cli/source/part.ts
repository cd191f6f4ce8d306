import { mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { writeWhole } from '../files/whole-file.ts'

/** Metadata beside a part, for resuming it. */
export interface PartNote {
  /** Says without doubt which bytes these are: a strong ETag, or a checksum. */
  readonly validator: string
}

/** An incomplete file: `<target>.part`, and `<target>.part.json` with its source. */
export class PartialFile {
  readonly path: string
  readonly #target: string
  readonly #lock: string | undefined

  private constructor(target: string, path: string, lock: string | undefined) {
    this.#target = target
    this.path = path
    this.#lock = lock
  }

  /**
   * Locks a target's part. While another process has the lock, this process gets a separate part that is never resumed:
   * two writers would damage the file.
   */
  static async claim(target: string): Promise<PartialFile> {
    await mkdir(dirname(target), { recursive: true })
    const lock = `${target}.part.lock`
    if (await takeLock(lock)) return new PartialFile(target, `${target}.part`, lock)
    return new PartialFile(target, `${target}.${process.pid}-${Date.now().toString(36)}.part`, undefined)
  }

  /** Number of stored bytes if they belong to the same validator; else 0, and the bytes are deleted. */
  async resume(validator: string | undefined): Promise<number> {
    if (validator !== undefined && (await this.note())?.validator === validator) {
      return (await stat(this.path).catch(() => undefined))?.size ?? 0
    }
    await this.clear()
    return 0
  }

  async note(): Promise<PartNote | undefined> {
    try {
      const value = JSON.parse(await readFile(`${this.path}.json`, 'utf8')) as PartNote
      return typeof value?.validator === 'string' ? value : undefined
    } catch {
      return undefined
    }
  }

  async describe(note: PartNote | undefined): Promise<void> {
    if (note === undefined) await rm(`${this.path}.json`, { force: true })
    else await writeWhole(`${this.path}.json`, JSON.stringify(note), { mode: 0o600 })
  }

  async clear(): Promise<void> {
    await rm(this.path, { force: true })
    await rm(`${this.path}.json`, { force: true })
  }

  /** Moves the finished file to its name atomically. */
  async finish(): Promise<void> {
    const file = await open(this.path, 'r+')
    await file.sync().finally(() => file.close())
    await rename(this.path, this.#target)
    await rm(`${this.path}.json`, { force: true })
  }

  /** Releases the lock. The received bytes stay for the next run, unless they cannot be resumed. */
  async release(): Promise<void> {
    if (this.#lock === undefined) await this.clear()
    else await rm(this.#lock, { force: true })
  }
}

/** A lock without an owner is being written, unless it is as old as this. */
const UNSIGNED_MS = 60_000

async function takeLock(lock: string): Promise<boolean> {
  for (const attempt of [1, 2]) {
    try {
      await writeFile(lock, String(process.pid), { flag: 'wx' })
      return true
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    if (attempt === 2 || (await isHeld(lock))) return false
    // Its holder was killed.
    await rm(lock, { force: true })
  }
  return false
}

async function isHeld(lock: string): Promise<boolean> {
  try {
    const { mtimeMs } = await stat(lock)
    const holder = await readFile(lock, 'utf8')
    return holder === '' ? Date.now() - mtimeMs < UNSIGNED_MS : isRunning(Number(holder))
  } catch {
    // Let go of in the meantime.
    return false
  }
}

function isRunning(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
