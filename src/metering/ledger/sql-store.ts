import type { LedgerStore } from './store.ts'

/** A ledger in the SQLite of its Durable Object. What is written is durable before any answer leaves the object. */
export class SqlLedgerStore implements LedgerStore {
  readonly #storage: DurableObjectStorage

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage
    storage.sql.exec('CREATE TABLE IF NOT EXISTS ledger (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID')
  }

  get(key: string): unknown {
    const [row] = this.#storage.sql.exec<{ value: string }>('SELECT value FROM ledger WHERE key = ?', key).toArray()
    return row === undefined ? undefined : JSON.parse(row.value)
  }

  set(key: string, value: unknown): void {
    this.#storage.sql.exec(
      'INSERT INTO ledger (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
      key,
      JSON.stringify(value),
    )
  }

  delete(key: string): void {
    this.#storage.sql.exec('DELETE FROM ledger WHERE key = ?', key)
  }

  transaction<T>(work: () => T): T {
    return this.#storage.transactionSync(work)
  }
}
