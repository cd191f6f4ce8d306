import { createHash, randomBytes } from 'node:crypto'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/** A small value of the local R2, and of KV where it has a copy. */
export interface LocalRecord {
  readonly key: string
  readonly bytes: Uint8Array
  readonly copied: boolean
}

/**
 * Writes records into Miniflare's local R2 and KV as files and rows, because 10,000 models take minutes through a Worker. No
 * Worker may run on them meanwhile. The rows are like those of a record that was written through a Worker.
 * @param storage the folder of both
 * @param example a key that both have
 * @throws Error where Miniflare keeps its data in another way
 */
export function writeRecords(storage: string, records: readonly LocalRecord[], example: string): void {
  insert(join(storage, 'r2'), 'BUCKET', '_mf_objects', example, records)
  insert(
    join(storage, 'kv'),
    'KV',
    '_mf_entries',
    example,
    records.filter(({ copied }) => copied),
  )
}

function insert(
  folder: string,
  binding: string,
  table: string,
  example: string,
  records: readonly LocalRecord[],
): void {
  const database = databaseIn(folder)
  try {
    const row = database.prepare(`SELECT * FROM ${table} WHERE key = ?`).get(example)
    if (row === undefined) throw new Error(`Miniflare has no row of ${example} in ${table}.`)
    const columns = Object.keys(row)
    const values = columns.map((column) => `:${column}`)
    const put = database.prepare(
      `INSERT OR REPLACE INTO ${table} (${columns.join(', ')}) VALUES (${values.join(', ')})`,
    )
    database.exec('BEGIN')
    for (const { bytes, key } of records) {
      const id = randomBytes(40).toString('hex')
      writeFileSync(join(folder, binding, 'blobs', id), bytes)
      const own: Readonly<Record<string, string | number>> = {
        key,
        blob_id: id,
        size: bytes.length,
        etag: createHash('md5').update(bytes).digest('hex'),
        version: id.slice(0, 32),
        metadata: JSON.stringify({ bytes: bytes.length }),
      }
      put.run(Object.fromEntries(columns.map((column) => [column, own[column] ?? row[column] ?? null])))
    }
    database.exec('COMMIT')
  } finally {
    database.close()
  }
}

/** Of the one bucket or namespace that there is. */
function databaseIn(folder: string): DatabaseSync {
  const [objects = ''] = readdirSync(folder).filter((name) => name.startsWith('miniflare-'))
  const files = readdirSync(join(folder, objects)).filter((name) => /^[0-9a-f]{64}\.sqlite$/.test(name))
  const [file, ...others] = files
  if (file === undefined || others.length > 0) throw new Error(`Miniflare has ${files.length} databases in ${folder}.`)
  return new DatabaseSync(join(folder, objects, file))
}
