import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import type { Alias } from '../../src/catalog/alias.ts'
import { entryOf, type ModelEntry } from '../../src/catalog/index/entry.ts'
import { EMPTY_HEAD, headBytes } from '../../src/catalog/index/format.ts'
import { changedTree } from '../../src/catalog/index/tree.ts'
import { aliasKey, INDEX_HEAD_KEY, INDEX_PAGE_PREFIX } from '../../src/catalog/keys.ts'
import { ROOT } from '../../src/cli/files/project.ts'
import { startWorkerd, type WorkerdProcess } from '../../src/cli/local/workerd.ts'
import { type PackedModel, packFolder } from '../../src/cli/pack/packer.ts'
import { publish } from '../../src/cli/push/publish.ts'
import { median } from '../../src/cli/statistics.ts'
import { LIMITS } from '../../src/core/limits.ts'
import type { Store } from '../../src/weights/store.ts'
import { Connection, type RequestParts, requestBytes } from '../lib/connection.ts'
import type { Read } from '../lib/slow-reads.ts'
import { type Summary, summarise } from '../lib/stats.ts'
import { writerFor } from '../lib/storage.ts'
import { ask } from '../lib/worker-client.ts'
import type { Bench } from './context.ts'

/** Models of the two catalogues that are compared. */
export const FEW = 10
export const MANY = 10_000

/** Entries of a list: a page of many models has as many as all of few. */
const LIMIT = FEW
/** Many: a request takes a few milliseconds, and whatever else the machine does takes as long. */
const ROUNDS_A_COLD_ROUND = 40

/** A request to an isolate that has read nothing, among few models and among many. */
export interface ModelsRow {
  readonly request: string
  /** Reads of KV and R2, among few and among many. */
  readonly reads: readonly [number, number]
  /** Milliseconds to the answer, with local stores and no delay on reads. */
  readonly few: Summary
  readonly many: Summary
  /** Time among many for time among few: the median of the rounds' ratios. */
  readonly ratio: number
}

const REQUESTS: readonly RequestParts[] = [
  { method: 'GET', path: `/models?limit=${LIMIT}` },
  { method: 'GET', path: `/v1/models?limit=${LIMIT}` },
  {
    method: 'POST',
    path: `/v2/repository/index?limit=${LIMIT}`,
    headers: { 'content-type': 'application/json' },
    body: '{}',
  },
  { method: 'GET', path: `/ollama/api/tags?limit=${LIMIT}` },
  { method: 'GET', path: '/openapi.json' },
  { method: 'GET', path: '/v2/models/digits' },
]

export async function measureModels({ bundles, effort, progress }: Bench): Promise<ModelsRow[]> {
  const packed = await packFolder(join(ROOT, 'models/digits'))
  const workers: WorkerdProcess[] = []
  try {
    for (const count of [FEW, MANY]) {
      progress(`a catalogue of ${count} models`)
      const worker = await startWorkerd(bundles.slow, { direct: true })
      workers.push(worker)
      await fill(worker, packed, count)
    }
    const connections = await Promise.all(workers.map(({ url }) => Connection.open(url)))
    const rows: ModelsRow[] = []
    for (const request of REQUESTS) {
      progress(`among few models and many: ${request.method} ${request.path}`)
      rows.push(await compared(connections, request, ROUNDS_A_COLD_ROUND * effort.coldRounds))
    }
    for (const connection of connections) connection.close()
    return rows
  } finally {
    for (const { miniflare } of workers) await miniflare.dispose()
  }
}

/** In turn, so that whatever else the machine does is in both. */
async function compared(connections: readonly Connection[], request: RequestParts, rounds: number): Promise<ModelsRow> {
  const reads = [0, 0]
  const times: [number[], number[]] = [[], []]
  const bytes = requestBytes({ ...request, headers: { ...request.headers, 'bench-delay': '0' } })
  for (let round = -1; round < rounds; round++) {
    const order = [...connections.entries()]
    for (const [i, connection] of round % 2 === 0 ? order : order.toReversed()) {
      const begun = performance.now()
      const { headers } = await ask(connection, bytes)
      if (round >= 0) times[i]?.push(performance.now() - begun)
      const made: readonly Read[] = JSON.parse(headers.get('bench-reads') ?? '[]')
      reads[i] = made.length
    }
  }
  const [few = 0, many = 0] = reads
  const { method, path } = request
  return {
    request: `${method} ${path}`,
    reads: [few, many],
    few: summarise(times[0]),
    many: summarise(times[1]),
    ratio: median(times[1].map((time, i) => time / (times[0][i] ?? Number.NaN))),
  }
}

/**
 * A model that runs, and an index that names as many more. Those have no aliases of their own: a store finds one key among
 * any number, and lists read none of them.
 */
async function fill(worker: WorkerdProcess, packed: PackedModel, count: number): Promise<void> {
  const writer = await writerFor(worker)
  await publish(writer, packed)
  const { truth } = writer.stores
  const { alias, entry } = await published(truth, packed)
  const entries = new Map<string, ModelEntry>([[alias.model, entry]])
  for (let i = 1; i < count; i++) {
    const model = `model-${String(i).padStart(5, '0')}`
    entries.set(model, { ...entry, model })
  }
  let pages = 0
  const options = { read: async () => [], newId: () => `0-benchmark-${pages++}`, limits: LIMITS }
  const [all, open] = [await changedTree([], entries, options), await changedTree([], entries, options)]
  for (const { bytes, page } of [...all.written, ...open.written]) await truth.put(INDEX_PAGE_PREFIX + page.id, bytes)
  const head = { ...EMPTY_HEAD, complete: true, all: all.tree, public: open.tree }
  await truth.put(INDEX_HEAD_KEY, headBytes(head))
}

async function published(truth: Store, packed: PackedModel) {
  const found = await truth.get(aliasKey(packed.manifest.model))
  const alias: Alias = JSON.parse(await new Response(found?.body).text())
  return { alias, entry: entryOf(alias, packed.manifest, found?.etag) }
}
