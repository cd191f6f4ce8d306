import type { Blob, Manifest } from '../catalog/manifest.ts'
import { VergeError } from '../core/errors.ts'
import { LruMap } from '../core/lru.ts'
import { SingleFlight, type SingleFlightOptions } from '../sessions/single-flight.ts'
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
    { files = {}, model }: Pick<Manifest, 'files' | 'model'>,
    name: string,
    parse: (bytes: Uint8Array) => T,
    context: RunContext,
  ): Promise<T> {
    const blob = Object.hasOwn(files, name) ? files[name] : undefined
    if (blob === undefined) {
      throw new VergeError('manifest_invalid', `Model "${model}" lacks the file "${name}". Push it again.`, {
        details: { model, file: name },
      })
    }
    const key = `${blob.sha256}/${name}`
    let file = this.#files.get(key)
    if (!file) {
      file = await this.#reads.run(
        key,
        async (flight) => {
          // The read serves everyone who waits, so it does not end when the first of them leaves.
          const bytes = await this.#options.read(blob, name, new AbortController().signal)
          flight.heartbeat()
          return { bytes: blob.bytes, value: parse(bytes) }
        },
        context,
      )
      this.#files.set(key, file)
    }
    return file.value as T
  }
}
