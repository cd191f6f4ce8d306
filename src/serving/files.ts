import type { Blob, Manifest } from '../catalog/manifest.ts'
import type { ModelFile } from '../catalog/model-file.ts'
import { VergeError } from '../core/errors.ts'
import { LruMap } from '../core/lru.ts'
import { SingleFlight, type SingleFlightOptions } from '../core/single-flight.ts'
import type { RunContext } from './serving.ts'

export interface FileCacheOptions extends SingleFlightOptions {
  /** Stored size of all cached files; parsed forms may take several times as much. */
  readonly budgetBytes: number
  /** @param name of the file in the manifest, which says how large it may be */
  read(blob: Blob, name: string, signal: AbortSignal): Promise<Uint8Array>
}

interface ParsedFile {
  readonly bytes: number
  readonly value: unknown
}

/** Files of models, parsed once an isolate: the least recently used go first. */
export class FileCache {
  readonly #files: LruMap<ParsedFile>
  readonly #reads: SingleFlight<ParsedFile>
  readonly #options: FileCacheOptions
  /** Bytes of files that were begun ahead, by key: of those that are under way still, room is promised to them. */
  readonly #ahead = new Map<string, number>()

  constructor(options: FileCacheOptions) {
    this.#options = options
    this.#files = new LruMap(options.budgetBytes, ({ bytes }) => bytes)
    this.#reads = new SingleFlight(options)
  }

  /**
   * A file of a model, parsed. The key has its name too: it says what `parse` makes of the bytes, so that two readers of
   * the same bytes do not get each other's.
   * @throws manifest_invalid where the manifest has no file of the name
   */
  async get<T>(
    manifest: Pick<Manifest, 'files' | 'model'>,
    { name, parse }: ModelFile<T>,
    context: RunContext,
  ): Promise<T> {
    const blob = blobOf(manifest, name)
    if (blob === undefined) {
      const { model } = manifest
      throw new VergeError('manifest_invalid', `Model "${model}" lacks the file "${name}". Push it again.`, {
        details: { model, file: name },
      })
    }
    const key = keyOf(blob, name)
    let file = this.#files.get(key)
    if (!file) {
      file = await this.#reads.run(
        key,
        async () => {
          // The read serves everyone who waits, so it does not end when the first of them leaves. Where another request
          // has taken it over meanwhile, the bytes are right all the same.
          const bytes = await this.#options.read(blob, name, new AbortController().signal)
          const read = { bytes: blob.bytes, value: parse(bytes) }
          this.#files.set(key, read)
          return read
        },
        context,
      )
    }
    return file.value as T
  }

  /**
   * Begins to read a file that a request is going to ask for. It may turn out to be refused, so no other file goes for
   * it: where there is no room, or it is being read, nothing is done. What goes wrong is for `get` to say.
   */
  prefetch(manifest: Pick<Manifest, 'files' | 'model'>, file: ModelFile, context: RunContext): void {
    const blob = blobOf(manifest, file.name)
    if (blob === undefined) return
    const key = keyOf(blob, file.name)
    if (this.#files.get(key) !== undefined || this.#reads.isUnderWay(key)) return
    if (!this.#files.hasRoom(this.#promised() + blob.bytes)) return
    this.#ahead.set(key, blob.bytes)
    this.get(manifest, file, context).catch(() => {})
  }

  #promised(): number {
    let bytes = 0
    for (const [key, size] of this.#ahead) {
      if (this.#reads.isUnderWay(key)) bytes += size
      else this.#ahead.delete(key)
    }
    return bytes
  }
}

function blobOf({ files = {} }: Pick<Manifest, 'files'>, name: string): Blob | undefined {
  return Object.hasOwn(files, name) ? files[name] : undefined
}

function keyOf({ sha256 }: Blob, name: string): string {
  return `${sha256}/${name}`
}
