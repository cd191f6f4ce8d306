import { toHex } from '../../../core/bytes.ts'
import { throwIfAborted, VergeError } from '../../../core/errors.ts'
import { untilAborted } from '../../../core/runtime.ts'
import type { Tensor } from '../../../core/tensors.ts'
import type { PageInfo, PageSource } from '../../engine.ts'
import { invalid } from '../invalid.ts'
import { outOfRange } from '../ops/guard.ts'
import type { BroughtRows } from '../ops/operator.ts'
import type { Plan, PlanStep } from '../plan.ts'
import { rejectedStep } from '../program.ts'
import { writeTensor } from '../tensors.ts'
import type { PageCache } from './cache.ts'
import type { HeldRows } from './held-rows.ts'
import { DIGEST_BYTES, type PagedLookup } from './lookup.ts'
import type { ReadingShare } from './reading-share.ts'

export interface PagedRowsParts {
  readonly plan: Plan
  readonly lookups: readonly PagedLookup[]
  readonly source: PageSource
  readonly cache: PageCache
  readonly share: ReadingShare
  readonly held: HeldRows
  /** The engine's memory as it is now: growing it makes another. */
  readonly memory: () => ArrayBufferLike
  /** Where the image begins in it. */
  readonly image: number
  /** @throws where the session is disposed */
  readonly needAlive: () => void
}

/** What a run brings along. */
export interface Brought {
  /** By the place of the step in the plan. */
  readonly rows: ReadonlyMap<number, BroughtRows>
  /** Called when the run has ended. */
  release(): void
}

/** Where the rows of a lookup are. */
interface Found {
  readonly lookup: PagedLookup
  readonly slots: Int32Array
  /** Places of rows in pages, in the order of their records. */
  readonly cold: readonly number[]
}

/** A page that a run needs, and which of its rows go where. */
interface Wanted extends PageInfo {
  readonly copies: { readonly from: number; readonly bytes: number; readonly to: number; readonly target: Uint8Array }[]
}

/** Rows of tables in pages, for the runs of a session. */
export class PagedRows {
  readonly #parts: PagedRowsParts

  constructor(parts: PagedRowsParts) {
    this.#parts = parts
  }

  /**
   * The rows of a run's ids. Hot rows stay in the image; rows of pages are copied, so that the run needs no page while it
   * waits for its turn. Where a page is not in the cache there is a promise, and what is missing is read in one round, or
   * in several where it has many bytes.
   * @param values inputs of the run, in the plan's order
   * @throws integer_too_large, run_rejected for ids out of range, model_invalid, overloaded where others hold too many
   * rows, errors of the source
   */
  bring(values: readonly Tensor[], signal: AbortSignal): Brought | Promise<Brought> {
    const { held, lookups } = this.#parts
    const found = lookups.map((lookup) => this.#find(lookup, values))
    const bytes = found.reduce((sum, { lookup, cold }) => sum + cold.length * lookup.recordBytes, 0)
    const release = bytes === 0 ? nothing : held.hold(bytes)
    const wanted = new Map<number, Wanted>()
    const rows = new Map(found.map((each) => [each.lookup.step, this.#records(each, wanted)] as const))
    const missing = [...wanted.values()].filter((page) => !this.#fromCache(page))
    const brought = { rows, release }
    if (missing.length === 0) return brought
    return this.#read(missing, signal).then(
      () => brought,
      (error: unknown) => {
        release()
        throw error
      },
    )
  }

  #find(lookup: PagedLookup, values: readonly Tensor[]): Found {
    const { plan, memory, image } = this.#parts
    const { rows, hot } = lookup
    const slots = idsOf(plan, lookup, values)
    const order = new Int32Array(memory(), image + lookup.order, rows)
    const cold = new Map<number, number>()
    for (const [index, id] of slots.entries()) {
      const place = order[id < 0 ? id + rows : id]
      if (place === undefined) throw rejectedStep(plan.steps[lookup.step] as PlanStep, outOfRange(id, rows))
      if (place < 0 || place >= rows) throw invalid('an id has a place that its table does not have')
      if (place < hot) {
        slots[index] = place
        continue
      }
      const record = cold.get(place) ?? cold.size
      cold.set(place, record)
      slots[index] = ~record
    }
    return { lookup, slots, cold: [...cold.keys()] }
  }

  /** Room for the records, and what is to be copied there. */
  #records({ lookup, slots, cold }: Found, wanted: Map<number, Wanted>): BroughtRows {
    const { hot, recordBytes } = lookup
    const records = new Uint8Array(cold.length * recordBytes)
    for (const [record, place] of cold.entries())
      this.#want(lookup, place - hot, record * recordBytes, { records, wanted })
    return { slots, cold: records, recordBytes }
  }

  /** @param row among those in pages @param to where its record comes */
  #want(
    lookup: PagedLookup,
    row: number,
    to: number,
    { records, wanted }: { readonly records: Uint8Array; readonly wanted: Map<number, Wanted> },
  ): void {
    const { rowsPerPage, recordBytes, offset, end } = lookup
    const number = Math.floor(row / rowsPerPage)
    const first = offset + number * rowsPerPage * recordBytes
    const page = wanted.get(first) ?? {
      offset: first,
      bytes: Math.min(rowsPerPage * recordBytes, end - first),
      sha256: this.#digest(lookup, number),
      copies: [],
    }
    wanted.set(first, page)
    page.copies.push({ from: (row % rowsPerPage) * recordBytes, bytes: recordBytes, to, target: records })
  }

  #digest({ digests }: PagedLookup, page: number): string {
    const { memory, image } = this.#parts
    return toHex(new Uint8Array(memory(), image + digests + page * DIGEST_BYTES, DIGEST_BYTES))
  }

  #fromCache(page: Wanted): boolean {
    const bytes = this.#parts.cache.get(page.sha256, page.bytes)
    if (bytes === undefined) return false
    copyOut(page, bytes)
    return true
  }

  async #read(missing: readonly Wanted[], signal: AbortSignal): Promise<void> {
    const { needAlive, share } = this.#parts
    for (let from = 0; from < missing.length; ) {
      while (share.full) await share.pause(signal)
      throwIfAborted(signal)
      needAlive()
      const wave = waveOf(missing, from, share.free)
      const bytes = wave.reduce((sum, page) => sum + page.bytes, 0)
      await share.use(bytes, () => this.#readAtOnce(wave, signal))
      from += wave.length
    }
  }

  async #readAtOnce(pages: readonly Wanted[], signal: AbortSignal): Promise<void> {
    const { cache, source } = this.#parts
    const read = new Set<number>()
    let ended = false
    const use = (index: number, bytes: Uint8Array): void => {
      const page = pages[index]
      // A reading that was given up may still bring something.
      if (ended || page === undefined) return
      if (bytes.length !== page.bytes) throw corrupt()
      copyOut(page, bytes)
      cache.keep(page.sha256, bytes)
      read.add(index)
    }
    const infos = pages.map(({ offset, bytes, sha256 }): PageInfo => ({ offset, bytes, sha256 }))
    try {
      await untilAborted(source.read(infos, use, signal), signal)
    } finally {
      ended = true
    }
    if (read.size < pages.length) throw unavailable()
  }
}

/** A copy of the ids, as 32 bits. */
function idsOf({ inputs }: Plan, { input }: PagedLookup, values: readonly Tensor[]): Int32Array {
  const value = values[input] as Tensor
  const ids = new Int32Array(value.data.length)
  writeTensor(ids.buffer, 0, inputs[input]?.name ?? '', value)
  return ids
}

/** As many pages as fit into so many bytes, and one at the least. */
function waveOf(pages: readonly Wanted[], from: number, mostBytes: number): readonly Wanted[] {
  let bytes = 0
  let to = from
  while (to < pages.length) {
    bytes += pages[to]?.bytes ?? 0
    if (bytes > mostBytes && to > from) break
    to++
  }
  return pages.slice(from, to)
}

function copyOut({ copies }: Wanted, page: Uint8Array): void {
  for (const { from, bytes, to, target } of copies) target.set(page.subarray(from, from + bytes), to)
}

function nothing(): void {}

function corrupt(): VergeError {
  return new VergeError('weights_corrupt', 'A page of the model has another length than its plan says; push it again.')
}

function unavailable(): VergeError {
  return new VergeError(
    'weights_unavailable',
    'The stores gave fewer pages of the model than were asked for; try again.',
  )
}
