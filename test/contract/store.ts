import { describe, expect, it } from 'vitest'
import { isVergeError, VergeError } from '../../src/core/errors.ts'
import { forEachPiece, readAtMost } from '../../src/weights/body.ts'
import type { ByteRange, Store } from '../../src/weights/store.ts'

export interface StoreTraits extends SignalTraits {
  /** Whether `put` takes conditions; where it does not, they must be refused with `store_unavailable`. */
  readonly conditional: boolean
}

export interface SignalTraits {
  /** Has no waits that a signal could end: every call is done when it returns. */
  readonly immediate?: boolean
  /** Refuses writes and deletions with `store_unavailable`, whatever their signal. */
  readonly readOnly?: boolean
}

/** A store with one value under `key`, which `list(prefix)` finds. */
export interface SignalledStore {
  readonly store: Store
  readonly key: string
  readonly prefix: string
}

const MiB = 1024 * 1024

/** Bytes that differ from place to place, so that a shifted or repeated piece shows. */
export function pattern(length: number, seed = 1): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length)
  let state = seed
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    bytes[i] = state >>> 24
  }
  return bytes
}

export function text(value: string): Uint8Array {
  return new TextEncoder().encode(value)
}

/** Every byte of a key's value, or null. */
export async function readValue(store: Store, key: string, range?: ByteRange): Promise<Uint8Array | null> {
  const found = await store.get(key, range === undefined ? {} : { range })
  return found === null ? null : readAtMost(found.body, 64 * MiB)
}

function same(a: Uint8Array | null, b: Uint8Array): boolean {
  return a !== null && a.length === b.length && a.every((byte, i) => byte === b[i])
}

/** What every store does with a call's signal. Part of `storeContract`; read-only stores run it alone. */
export function storeSignals(setUp: () => Promise<SignalledStore>, traits: SignalTraits = {}): void {
  const { immediate = false, readOnly = false } = traits

  type Call = (signal: AbortSignal) => Promise<unknown>
  const readsOf = ({ store, key, prefix }: SignalledStore): Record<string, Call> => ({
    head: (signal) => store.head(key, { signal }),
    get: (signal) => store.get(key, { signal }),
    list: (signal) => store.list(prefix, { signal }),
  })
  const writesOf = ({ store, key, prefix }: SignalledStore): Record<string, Call> => ({
    put: (signal) => store.put(key, text('another'), { signal }),
    'put of a new key': (signal) => store.put(`${prefix}new`, text('new'), { signal }),
    delete: (signal) => store.delete(key, { signal }),
  })

  it('refuses every call whose signal has fired, with its reason, and does nothing', async () => {
    const there = await setUp()
    const late = new VergeError('deadline_exceeded', 'Too late.')
    for (const [name, call] of Object.entries(readsOf(there))) {
      await expect(call(AbortSignal.abort()), name).rejects.toMatchObject({ code: 'cancelled' })
      await expect(call(AbortSignal.abort(late)), name).rejects.toBe(late)
    }
    for (const [name, call] of Object.entries(writesOf(there))) {
      const code = readOnly ? 'store_unavailable' : 'deadline_exceeded'
      await expect(call(AbortSignal.abort(late)), name).rejects.toMatchObject({ code })
    }
    const { store, key, prefix } = there
    expect(await readValue(store, key)).toEqual(text('value'))
    expect((await store.list(prefix)).keys).toEqual([key])
  })

  if (immediate) return

  it('ends the wait of every call whose signal fires meanwhile, with its reason', async () => {
    const there = await setUp()
    const calls = readOnly ? readsOf(there) : { ...readsOf(there), ...writesOf(there) }
    for (const [name, call] of Object.entries(calls)) {
      const controller = new AbortController()
      const waiting = call(controller.signal)
      controller.abort()
      await expect(waiting, name).rejects.toMatchObject({ code: 'cancelled' })
    }
    // a write may still be made, whole
    const value = await readValue(there.store, there.key)
    expect([null, 'value', 'another']).toContain(value === null ? null : new TextDecoder().decode(value))
  })
}

/**
 * What every store has to do. `makeStore` may give the same store each time: each test keeps to keys of its own.
 */
export function storeContract(name: string, makeStore: () => Store | Promise<Store>, traits: StoreTraits): void {
  describe(`store: ${name}`, () => {
    let tests = 0
    async function setUp(): Promise<{ store: Store; at: (key: string) => string }> {
      const prefix = `contract/${name}/${++tests}/${Math.random().toString(36).slice(2)}/`
      return { store: await makeStore(), at: (key) => prefix + key }
    }

    it('gives back what was put, with its size', async () => {
      const { store, at } = await setUp()
      const value = pattern(100_000)
      expect((await store.put(at('k'), value))?.bytes).toBe(100_000)
      expect((await store.head(at('k')))?.bytes).toBe(100_000)
      expect((await store.get(at('k')).then(drained))?.bytes).toBe(100_000)
      expect(same(await readValue(store, at('k')), value)).toBe(true)
    })

    it('keeps its own copy: changing the bytes afterwards changes nothing', async () => {
      const { store, at } = await setUp()
      const value = pattern(1000)
      await store.put(at('k'), value)
      value.fill(0)
      expect(same(await readValue(store, at('k')), pattern(1000))).toBe(true)
    })

    it('stores a view without the buffer around it', async () => {
      const { store, at } = await setUp()
      await store.put(at('k'), pattern(1000).subarray(100, 200))
      expect(same(await readValue(store, at('k')), pattern(1000).subarray(100, 200))).toBe(true)
    })

    it('answers null for a missing key', async () => {
      const { store, at } = await setUp()
      expect(await store.head(at('missing'))).toBeNull()
      expect(await store.get(at('missing'))).toBeNull()
      expect(await store.get(at('missing'), { range: { offset: 3, length: 4 } })).toBeNull()
      expect(await store.get(at('missing'), { range: { offset: 3, length: 0 } })).toBeNull()
    })

    it('keeps an empty value apart from a missing one', async () => {
      const { store, at } = await setUp()
      await store.put(at('empty'), new Uint8Array(0))
      expect((await store.head(at('empty')))?.bytes).toBe(0)
      expect(await readValue(store, at('empty'))).toEqual(new Uint8Array(0))
      expect(await readValue(store, at('empty'), { offset: 0 })).toEqual(new Uint8Array(0))
      expect(await readValue(store, at('empty'), { offset: 0, length: 5 })).toEqual(new Uint8Array(0))
      expect(await readValue(store, at('empty'), { offset: 7, length: 5 })).toEqual(new Uint8Array(0))
    })

    // Miniflare's R2 prints "[mf:error] AssertionError: false == true" for three ranges without a byte in them: its own
    // storage answers 416 there, which it does not expect. R2Store takes that for the refusal that R2 gives.
    const ranges: readonly (readonly [string, ByteRange])[] = [
      ['at the start', { offset: 0, length: 10 }],
      ['in the middle', { offset: 70_000, length: 150_001 }],
      ['of one byte', { offset: 65_536, length: 1 }],
      ['of the last byte', { offset: 299_999, length: 1 }],
      ['with an open end', { offset: 299_000 }],
      ['that is the whole', { offset: 0, length: 300_000 }],
      ['longer than the value', { offset: 299_990, length: 1_000_000 }],
      ['of no bytes', { offset: 5, length: 0 }],
      ['that begins at the end', { offset: 300_000, length: 10 }],
      ['past the end', { offset: 1_000_000, length: 10 }],
      ['past the end, open', { offset: 1_000_000 }],
    ]
    it('reads ranges', async () => {
      const { store, at } = await setUp()
      const value = pattern(300_000)
      await store.put(at('k'), value)
      for (const [what, range] of ranges) {
        const end = range.length === undefined ? undefined : range.offset + range.length
        const expected = value.subarray(range.offset, end)
        expect(same(await readValue(store, at('k'), range), expected), `range ${what}`).toBe(true)
        expect((await store.get(at('k'), { range }).then(drained))?.bytes, `size, range ${what}`).toBe(300_000)
      }
    })

    it('lists more than 1,000 keys across pages, each once, in order', async () => {
      const { store, at } = await setUp()
      const names = Array.from({ length: 1_037 }, (_, i) => at(`list/${String((i * 7919) % 1_037).padStart(5, '0')}`))
      for (let i = 0; i < names.length; i += 32) {
        await Promise.all(names.slice(i, i + 32).map((key) => store.put(key, text(key))))
      }
      await store.put(at('beside'), text('not listed'))
      const listed: string[] = []
      let pages = 0
      let cursor: string | undefined
      do {
        const page = await store.list(at('list/'), { cursor })
        listed.push(...page.keys)
        cursor = page.cursor
        pages++
      } while (cursor !== undefined)
      expect(pages).toBeGreaterThan(1)
      expect(listed).toEqual([...names].sort())
    })

    it('lists nothing for a prefix that no key has', async () => {
      const { store, at } = await setUp()
      const { infos = [], ...page } = await store.list(at('nothing/'))
      expect([page, infos]).toEqual([{ keys: [] }, []])
    })

    it('takes keys with odd but legal characters, and lists them in the order of their UTF-8 bytes', async () => {
      const { store, at } = await setUp()
      const odd = [
        ' space ',
        '%2F',
        '"quotes"',
        '?q=1&r=2#hash',
        'a/../b',
        'a//b',
        'back\\slash',
        'ä',
        '\uFFFD',
        '😀',
        '+',
        "'",
      ]
      for (const key of odd) await store.put(at(key), text(key))
      for (const key of odd) expect(await readValue(store, at(key)), key).toEqual(text(key))
      const inOrder = [...odd].sort((a, b) => (compareBytes(text(a), text(b)) < 0 ? -1 : 1))
      const { keys, infos } = await store.list(at(''))
      expect(keys).toEqual(inOrder.map(at))
      if (infos) expect(infos).toEqual(await Promise.all(keys.map((key) => store.head(key))))
      for (const key of odd) await store.delete(at(key))
      expect((await store.list(at(''))).keys).toEqual([])
    })

    it('has no value under the empty key or one too long for any store', async () => {
      const { store } = await setUp()
      for (const key of ['', 'x'.repeat(5_000)]) {
        expect(await store.head(key)).toBeNull()
        expect(await store.get(key)).toBeNull()
        await store.delete(key)
      }
    })

    it('serves many readers of one key at once', async () => {
      const { store, at } = await setUp()
      const value = pattern(300_000)
      await store.put(at('k'), value)
      const reads = Array.from({ length: 12 }, (_, i) =>
        readValue(store, at('k'), { offset: i * 20_000, length: 30_000 }),
      )
      const all = await Promise.all(reads)
      expect(all.every((bytes, i) => same(bytes, value.subarray(i * 20_000, i * 20_000 + 30_000)))).toBe(true)
    })

    it('holds a value larger than a chunk', async () => {
      const { store, at } = await setUp()
      const value = pattern(9 * MiB)
      await store.put(at('k'), value)
      expect(same(await readValue(store, at('k')), value)).toBe(true)
    })

    it('gives the new value after it was overwritten', async () => {
      const { store, at } = await setUp()
      await store.put(at('k'), text('a long first value'))
      await store.put(at('k'), text('second'))
      expect((await store.head(at('k')))?.bytes).toBe(6)
      expect(await readValue(store, at('k'))).toEqual(text('second'))
    })

    it('deletes, also what is not there', async () => {
      const { store, at } = await setUp()
      await store.put(at('k'), text('value'))
      await store.delete(at('k'))
      await store.delete(at('k'))
      await store.delete(at('never was'))
      expect(await store.get(at('k'))).toBeNull()
      expect(await store.head(at('k'))).toBeNull()
    })

    it('refuses a read whose signal has fired, and ends one under way with the reason', async () => {
      const { store, at } = await setUp()
      await store.put(at('k'), pattern(2 * MiB))
      await expect(store.get(at('k'), { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'cancelled' })

      const controller = new AbortController()
      const found = await store.get(at('k'), { signal: controller.signal })
      if (found === null) throw new Error('the value is missing')
      let read = 0
      const reading = forEachPiece(found.body, (piece) => {
        read += piece.length
        controller.abort()
      })
      await expect(reading).rejects.toSatisfy((error) => isVergeError(error, 'cancelled'))
      expect(read).toBeGreaterThan(0)
      expect(read).toBeLessThan(2 * MiB)
    })

    storeSignals(async () => {
      const { store, at } = await setUp()
      await store.put(at('k'), text('value'))
      return { store, key: at('k'), prefix: at('') }
    }, traits)

    it('lets a body be cancelled midway, and read again', async () => {
      const { store, at } = await setUp()
      const value = pattern(2 * MiB)
      await store.put(at('k'), value)
      for (let i = 0; i < 3; i++) {
        const reader = (await store.get(at('k')))?.body.getReader()
        const first = await reader?.read()
        expect(first?.value?.[0]).toBe(value[0])
        await reader?.cancel('enough')
      }
      expect(same(await readValue(store, at('k')), value)).toBe(true)
    })

    if (!traits.conditional) {
      it('refuses conditional writes by a typed error, and writes nothing', async () => {
        const { store, at } = await setUp()
        const refused = { code: 'store_unavailable' }
        await expect(store.put(at('k'), text('a'), { onlyIf: 'absent' })).rejects.toMatchObject(refused)
        await expect(store.put(at('k'), text('a'), { onlyIf: { etag: 'x' } })).rejects.toMatchObject(refused)
        expect(await store.get(at('k'))).toBeNull()
      })
      return
    }

    it('writes only if absent', async () => {
      const { store, at } = await setUp()
      expect(await store.put(at('k'), text('first'), { onlyIf: 'absent' })).not.toBeNull()
      expect(await store.put(at('k'), text('second'), { onlyIf: 'absent' })).toBeNull()
      expect(await readValue(store, at('k'))).toEqual(text('first'))
      await store.delete(at('k'))
      expect(await store.put(at('k'), text('third'), { onlyIf: 'absent' })).not.toBeNull()
    })

    it('writes only over the etag it was given, which every write changes', async () => {
      const { store, at } = await setUp()
      const first = await store.put(at('k'), text('first'))
      const etag = first?.etag ?? ''
      expect(etag).not.toBe('')
      expect((await store.head(at('k')))?.etag).toBe(etag)
      expect((await store.get(at('k')).then(drained))?.etag).toBe(etag)
      const second = await store.put(at('k'), text('second'), { onlyIf: { etag } })
      expect(second?.etag).not.toBe(etag)
      expect(await store.put(at('k'), text('late'), { onlyIf: { etag } })).toBeNull()
      expect(await readValue(store, at('k'))).toEqual(text('second'))
      await store.delete(at('k'))
      expect(await store.put(at('k'), text('gone'), { onlyIf: { etag: second?.etag ?? '' } })).toBeNull()
      expect(await store.get(at('k'))).toBeNull()
    })

    it('lets exactly one of two racing writers win, ten times over', async () => {
      const { store, at } = await setUp()
      for (let i = 0; i < 10; i++) {
        const created = await race(store, at(`new ${i}`), 'absent')
        const replaced = await race(store, at(`new ${i}`), { etag: created.etag ?? '' })
        expect(replaced.etag).not.toBe(created.etag)
      }
    })

    async function race(store: Store, key: string, onlyIf: 'absent' | { etag: string }): Promise<{ etag?: string }> {
      const tag = typeof onlyIf === 'string' ? onlyIf : onlyIf.etag
      const values = [text(`left over ${tag}`), text(`right over ${tag}`)]
      const puts = await Promise.all(values.map((value) => store.put(key, value, { onlyIf })))
      const winners = puts.filter((put) => put !== null)
      expect(winners).toHaveLength(1)
      const index = puts.findIndex((put) => put !== null)
      expect(await readValue(store, key)).toEqual(values[index])
      return winners[0] ?? {}
    }
  })
}

/** Reads a value to its end, as every body must be, and passes it on. */
async function drained<T extends { body: ReadableStream<Uint8Array> } | null>(value: T): Promise<T> {
  if (value !== null) await forEachPiece(value.body, () => {})
  return value
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length)
  for (let i = 0; i < shared; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0)
    if (difference !== 0) return difference
  }
  return a.length - b.length
}
