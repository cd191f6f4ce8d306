import { constants } from 'node:fs'
import { type FileHandle, open, realpath, stat } from 'node:fs/promises'
import { dirname, join, sep } from 'node:path'
import { decodeModel, MAX_MODEL_BYTES } from '../../onnx/codec.ts'
import { OnnxError, safeName } from '../../onnx/errors.ts'
import { type ReadExternal, resolveExternal } from '../../onnx/external.ts'
import type { ModelProto } from '../../onnx/schema/onnx_pb.js'
import { UsageError } from '../terminal/command-line.ts'

export interface ModelFile {
  /** With all its data inside; what lay in the file itself is a view of the file's bytes. */
  readonly model: ModelProto
  /** The file itself. It must not change while the model is in use. */
  readonly bytes: Uint8Array<ArrayBuffer>
  /** Bytes read, external data included. */
  readonly bytesRead: number
  /** Files of external data, as the model names them. */
  readonly external: readonly string[]
}

export interface ReadModelOptions {
  /** Bound of the file, and of all external data together. */
  readonly maxBytes?: number
}

/** How a file begins that Git LFS has not fetched yet. */
const LFS_POINTER = 'version https://git-lfs.github.com/spec/'

/**
 * Reads a model and its external data, which has to lie in the same folder or below: links that lead out of it are not
 * followed, but the model's own path may be a link. Nothing is read or allocated before the sizes are checked.
 * @throws UsageError where there is no such file; OnnxError malformed, too_large, external_data
 */
export async function readModelFile(
  path: string,
  { maxBytes = MAX_MODEL_BYTES }: ReadModelOptions = {},
): Promise<ModelFile> {
  const bytes = await readWhole(path, maxBytes)
  if (Buffer.from(bytes.buffer, 0, Math.min(bytes.length, LFS_POINTER.length)).toString('latin1') === LFS_POINTER) {
    throw new UsageError(`${path} is a placeholder of Git LFS. Fetch the model with "git lfs pull".`)
  }
  const folder = new ExternalFolder(await realpath(dirname(path)))
  try {
    const model = await resolveExternal(decodeModel(bytes), folder.read, { maxBytes })
    return { model, bytes, bytesRead: bytes.length + folder.bytesRead, external: folder.locations }
  } finally {
    await folder.close()
  }
}

async function readWhole(path: string, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  // Before opening: to open a pipe waits for its other end.
  const { size } = await fileStat(path)
  if (size > maxBytes) {
    throw new OnnxError('too_large', `${path} has ${size} bytes; the limit is ${maxBytes}.`)
  }
  const file = await open(path).catch((error: NodeJS.ErrnoException) => {
    throw unreadable(path, error)
  })
  try {
    return await readRange(file, 0, size)
  } finally {
    await file.close()
  }
}

async function fileStat(path: string): Promise<{ readonly size: number }> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw unreadable(path, error)
  })
  if (!found.isFile()) throw new UsageError(`${path} is not a file. Give an .onnx file.`)
  return found
}

function unreadable(path: string, cause: NodeJS.ErrnoException): UsageError {
  return new UsageError(`${path} cannot be read (${cause.code}). Check the path.`, { cause })
}

/** Up to `length` bytes; fewer where the file ends before. */
async function readRange(file: FileHandle, offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length)
  let done = 0
  while (done < length) {
    // One call of the system reads less than 2 GiB.
    const { bytesRead } = await file.read(bytes, done, Math.min(length - done, 2 ** 30), offset + done)
    if (bytesRead === 0) break
    done += bytesRead
  }
  return bytes.subarray(0, done)
}

/** Files below a folder, opened once each. */
class ExternalFolder {
  bytesRead = 0
  readonly #folder: string
  readonly #open = new Map<string, { readonly file: FileHandle; readonly size: number }>()

  /** @param folder without links in it */
  constructor(folder: string) {
    this.#folder = folder
  }

  get locations(): string[] {
    return [...this.#open.keys()]
  }

  readonly read: ReadExternal = async (location, offset, length) => {
    const { file, size } = this.#open.get(location) ?? (await this.#enter(location))
    if (offset + length > size) {
      throw fault(
        location,
        `has ${size} bytes, but the model refers to bytes up to ${offset + length}. Download it again`,
      )
    }
    const bytes = await readRange(file, offset, length)
    this.bytesRead += bytes.length
    return bytes
  }

  async close(): Promise<void> {
    for (const { file } of this.#open.values()) await file.close()
  }

  async #enter(location: string): Promise<{ readonly file: FileHandle; readonly size: number }> {
    const path = await realpath(join(this.#folder, location)).catch((error: NodeJS.ErrnoException) => {
      throw fault(location, `cannot be read (${error.code}). Put it beside the model`, error)
    })
    const inside = this.#folder.endsWith(sep) ? this.#folder : `${this.#folder}${sep}`
    if (!path.startsWith(inside)) {
      throw fault(location, "is a link to a file outside the model's folder. Replace the link by the file")
    }
    if (!(await stat(path)).isFile()) throw fault(location, 'is not a file. Export the model again')
    const file = await open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0))
    const entry = { file, size: (await file.stat()).size }
    this.#open.set(location, entry)
    return entry
  }
}

function fault(location: string, reason: string, cause?: unknown): OnnxError {
  return new OnnxError('external_data', `External data "${safeName(location)}" ${reason}.`, { cause })
}
