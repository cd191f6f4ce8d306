/** A record before or after a change. */
export interface RecordedState {
  /** SHA-256 of its stored bytes. */
  readonly sha256: string
  /** Its contents, left out where they cannot be read. Never a secret, and no hash of one. */
  readonly value?: unknown
}

/** An administrative change of one record. */
export interface Change {
  /** Lower-case words that are joined by "-": `publish`, `release`, `key-revoke`. */
  readonly action: string
  /** The key of the record in the stores, such as `alias/digits`. */
  readonly subject: string
  /** Null where there was no record, or is none afterwards. */
  readonly before: RecordedState | null
  readonly after: RecordedState | null
}

/** A change on record. */
export interface RecordedChange {
  /** Records that the change was not made. @throws store_unavailable, conflict */
  withdraw(): Promise<void>
}

/** Puts changes on record before they are made. `audit/` implements it. */
export interface ChangeLog {
  /** @throws store_unavailable, conflict if other commands keep writing at the same time */
  record(change: Change): Promise<RecordedChange>
}
