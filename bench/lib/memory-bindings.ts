import type { LocalBindings } from '../../src/cli/target/local.ts'

interface Entry {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly etag: string
  readonly metadata?: unknown
}

/** R2 and KV as maps, as far as the Worker and the command line use them. */
export function memoryBindings(): LocalBindings {
  const objects = new Map<string, Entry>()
  const values = new Map<string, Entry>()
  let writes = 0
  const info = (key: string, { bytes, etag }: Entry) => ({ key, size: bytes.length, etag })
  const keysOf = (entries: ReadonlyMap<string, Entry>, prefix: string) =>
    [...entries.keys()].filter((key) => key.startsWith(prefix)).sort()
  return {
    BUCKET: {
      async head(key) {
        const entry = objects.get(key)
        return entry === undefined ? null : info(key, entry)
      },
      async get(key, { range } = {}) {
        const entry = objects.get(key)
        if (entry === undefined) return null
        const { offset = 0, length = entry.bytes.length - offset } = range ?? {}
        return { ...info(key, entry), body: streamOf(entry.bytes.slice(offset, offset + length)) }
      },
      async put(key, value, { onlyIf } = {}) {
        const present = objects.get(key)
        if (onlyIf?.etagDoesNotMatch === '*' && present !== undefined) return null
        if (onlyIf?.etagMatches !== undefined && onlyIf.etagMatches !== present?.etag) return null
        const entry = { bytes: value.slice(), etag: `w${++writes}` }
        objects.set(key, entry)
        return info(key, entry)
      },
      async list({ prefix }) {
        const found = keysOf(objects, prefix).flatMap((key) => {
          const entry = objects.get(key)
          return entry === undefined ? [] : [info(key, entry)]
        })
        return { objects: found, truncated: false }
      },
      async delete(key) {
        objects.delete(key)
      },
    },
    KV: {
      async getWithMetadata(key) {
        const entry = values.get(key)
        return { value: entry === undefined ? null : streamOf(entry.bytes), metadata: entry?.metadata ?? null }
      },
      // The record of the origins' health, which is text.
      ...({ get: async (key: string) => textOf(values.get(key)) } as object),
      async put(key, value, { metadata }) {
        values.set(key, { bytes: value.slice(), etag: '', metadata })
      },
      async list({ prefix }) {
        const keys = keysOf(values, prefix).map((name) => ({ name, metadata: values.get(name)?.metadata }))
        return { keys, list_complete: true }
      },
      async delete(key) {
        values.delete(key)
      },
    },
  }
}

function textOf(entry: Entry | undefined): string | null {
  return entry === undefined ? null : new TextDecoder().decode(entry.bytes)
}

function streamOf(bytes: Uint8Array<ArrayBuffer>): ReadableStream {
  return new Blob([bytes]).stream()
}
