import { canonicalBytes } from '../catalog/canonical-json.ts'
import { equal } from '../catalog/copies.ts'
import type { Sha256Factory } from '../core/runtime.ts'
import type { Store } from '../weights/store.ts'
import { AUDIT_PREFIX, type AuditEntry, hashOf, NO_HASH, seqOf } from './entry.ts'
import { chainHash } from './log.ts'
import { type AuditLimits, entryPages, type Head, readHead, type StoredEntry } from './read.ts'

/** What is wrong with the log. */
export interface AuditFault {
  /** The entry, where it is about one. */
  readonly seq?: number
  readonly finding: string
}

/** What an effective entry says about its record. */
export interface Recorded {
  readonly seq: number
  readonly before: string | null
  readonly after: string | null
}

export interface ChainReport {
  /** Entries that there are. */
  readonly entries: number
  /** The last entry; number 0 if there is none. */
  readonly last: Head
  readonly faults: readonly AuditFault[]
  /** For each record the last change that was not withdrawn. */
  readonly recorded: ReadonlyMap<string, Recorded>
}

export interface ChainOptions {
  readonly sha256: Sha256Factory
  readonly limits: AuditLimits
  readonly signal?: AbortSignal | undefined
  /** The chain must contain this entry, noted earlier in another place. */
  readonly expected?: Head | undefined
}

/** Reads the whole chain, page by page, and checks each entry. @throws store_unavailable, the signal's reason */
export async function verifyChain(store: Store, options: ChainOptions): Promise<ChainReport> {
  const chain = new Chain(options)
  // before the list: entries are written first, so that the list has whatever is noted
  const noted = await readHead(store, options.limits, options.signal)
  let cursor: string | undefined
  do {
    const page = await store.list(AUDIT_PREFIX, { cursor, signal: options.signal })
    const seqs = page.keys.flatMap((key) => {
      const seq = seqOf(key)
      if (seq === undefined) chain.fault(`${key} is not a key of an entry. Verge did not write it.`)
      return seq ?? []
    })
    for await (const entries of entryPages(store, seqs, options.limits, options.signal)) {
      for (const entry of entries) await chain.add(entry)
    }
    cursor = page.cursor
  } while (cursor !== undefined)
  if (noted.head !== undefined) chain.assertContains(noted.head, 'audit-head notes')
  else if (noted.etag !== undefined) chain.fault('audit-head cannot be read. The next change writes it again.')
  if (options.expected !== undefined) chain.assertContains(options.expected, 'You expected')
  return chain.report()
}

class Chain {
  readonly #options: ChainOptions
  readonly #faults: AuditFault[] = []
  readonly #changes = new Map<string, Recorded[]>()
  /** Hashes of the entries that are noted elsewhere are compared when all have been read. */
  readonly #hashes = new Map<number, string>()
  #entries = 0
  #last: Head = { seq: 0, hash: NO_HASH }

  constructor(options: ChainOptions) {
    this.#options = options
  }

  fault(finding: string, seq?: number): void {
    this.#faults.push(seq === undefined ? { finding } : { seq, finding })
  }

  async add(stored: StoredEntry): Promise<void> {
    const { seq, entry } = stored
    const { sha256 } = this.#options
    const expected = this.#last.seq + 1
    if (seq !== expected) {
      const missing = seq === expected + 1 ? `Entry ${expected} is` : `Entries ${expected} to ${seq - 1} are`
      this.fault(`${missing} missing.`, expected)
    }
    if (entry === undefined) this.fault(`Entry ${seq} ${stored.fault}.`, seq)
    else await this.#check(stored, entry, seq === expected)
    this.#entries++
    this.#last = { seq, hash: await chainHash(stored, sha256) }
    this.#hashes.set(seq, this.#last.hash)
  }

  async #check(
    stored: StoredEntry & { readonly content: object },
    entry: AuditEntry,
    adjacent: boolean,
  ): Promise<void> {
    const { seq } = stored
    const { content } = stored
    if (entry.seq !== seq) this.fault(`Entry ${seq} says that it is entry ${entry.seq}.`, seq)
    const hash = await hashOf({ ...content }, this.#options.sha256)
    if (entry.hash !== hash) this.fault(`Entry ${seq} was changed: its hash differs from its contents.`, seq)
    else if (!equal(stored.bytes, canonicalBytes(content)))
      this.fault(`Entry ${seq} was changed: it is not written as Verge writes it.`, seq)
    if (adjacent && entry.previous !== this.#last.hash) {
      const before = seq === 1 ? 'It is not the first entry of this log' : `Entry ${seq - 1} was changed or replaced`
      this.fault(`Entry ${seq} does not continue the chain: it names another hash of the entry before. ${before}.`, seq)
    }
    this.#note(entry)
  }

  #note({ seq, action, subject, before, after, withdraws }: AuditEntry): void {
    const changes = this.#changes.get(subject) ?? []
    this.#changes.set(subject, changes)
    if (action !== 'withdrawn') {
      changes.push({ seq, before: before?.sha256 ?? null, after: after?.sha256 ?? null })
      return
    }
    const index = changes.findIndex((change) => change.seq === withdraws)
    if (index >= 0) changes.splice(index, 1)
    else this.fault(`Entry ${seq} withdraws entry ${withdraws ?? '(none)'}, which is not a change of ${subject}.`, seq)
  }

  assertContains({ seq, hash }: Head, where: string): void {
    const found = seq === 0 ? NO_HASH : this.#hashes.get(seq)
    if (found === hash) return
    const finding =
      seq > this.#last.seq
        ? `the log ends with entry ${this.#last.seq}: entries were removed at its end`
        : 'the log has another one: it was rewritten'
    this.fault(`${where} entry ${seq} with hash ${hash}, but ${finding}.`)
  }

  report(): ChainReport {
    const recorded = [...this.#changes].flatMap(([subject, changes]) => {
      const last = changes.at(-1)
      return last === undefined ? [] : [[subject, last] as const]
    })
    return { entries: this.#entries, last: this.#last, faults: this.#faults, recorded: new Map(recorded) }
  }
}
