import type { Blob } from '../catalog/manifest.ts'
import { LruMap } from '../core/lru.ts'
import { SingleFlight, type SingleFlightOptions } from '../sessions/single-flight.ts'
import type { RunContext } from './serving.ts'

export interface FileCacheOptions extends SingleFlightOptions {
  /** Stored size of all cached files; parsed forms may take several times as much. */
  readonly budgetBytes: number
  read(blob: Blob, signal: AbortSignal): Promise<Uint8Array>
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

  /** `kind` names what `parse` makes of the bytes, so that two readers of one file do not get each other's. */
  async get<T>(blob: Blob, kind: string, parse: (bytes: Uint8Array) => T, context: RunContext): Promise<T> {
    const key = `${blob.sha256}/${kind}`
    let file = this.#files.get(key)
    if (!file) {
      file = await this.#reads.run(
        key,
        async (flight) => {
          // The read serves everyone who waits, so it does not end when the first of them leaves.
          const bytes = await this.#options.read(blob, new AbortController().signal)
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
