import { setTimeout as sleep } from 'node:timers/promises'
import { type BareWorker, startBareWorker } from '../lib/bare-worker.ts'
import { Connection, requestBytes } from '../lib/connection.ts'
import { type ThreadTimes, threadTimes } from '../lib/cpu-time.ts'
import { binaryRequest } from '../lib/oip.ts'
import { OuterStores } from '../lib/outer-stores.ts'
import { type Summary, summarise } from '../lib/stats.ts'
import { ask } from '../lib/worker-client.ts'
import type { Subject } from '../models/subjects.ts'
import type { Bench } from './context.ts'

/** CPU time in milliseconds. */
interface Spent {
  /** Of the thread that the isolate runs on. */
  readonly isolate: Summary
  /** Of V8's other threads. */
  readonly helpers: Summary
}

/** What the first request of a fresh isolate costs a workerd that does nothing else. Its stores are in other processes. */
export interface FirstRequests {
  /** Compiling and evaluating the script, compiling its WebAssembly modules, and all that is done at module scope. */
  readonly startUp: Spent
  readonly models: readonly FirstRequestRow[]
}

export interface FirstRequestRow extends Spent {
  readonly model: string
  /** The same reads of KV as the first request of a Worker that does nothing else: the isolate's thread. */
  readonly reads: Summary
  /** The isolate's thread for a request a few later. */
  readonly later: Summary
}

const LATER = 6
/** After an answer, V8's other threads may still compile what ran. */
const SETTLE_MS = 100

export async function measureFirstRequests(bench: Bench, models: readonly Subject[]): Promise<FirstRequests> {
  const starts: ThreadTimes[] = []
  const rounds = new Map<string, { readonly first: ThreadTimes; readonly reads: number; readonly later: number }[]>()
  const stores = await OuterStores.open(models)
  try {
    for (let round = 0; round < bench.effort.coldRounds; round++) {
      bench.progress(`first request, round ${round + 1} of ${bench.effort.coldRounds}`)
      const inert = await started(bench.bundles.verge, stores, true)
      for (const model of models) {
        const { later, first, start } = await served(bench.bundles.verge, stores, model)
        const reads = await onlyRead(bench.bundles.reads, stores)
        starts.push(difference(inert, start))
        rounds.set(model.name, [...(rounds.get(model.name) ?? []), { first, reads, later }])
      }
    }
  } finally {
    stores.close()
  }
  return {
    startUp: spent(starts),
    models: models.map(({ name }) => {
      const all = rounds.get(name) ?? []
      return {
        model: name,
        ...spent(all.map(({ first }) => first)),
        reads: summarise(all.map(({ reads }) => reads)),
        later: summarise(all.map(({ later }) => later)),
      }
    }),
  }
}

async function withWorker<T>(worker: BareWorker, work: (connection: Connection) => Promise<T>): Promise<T> {
  try {
    const connection = await Connection.open(worker.url)
    try {
      return await work(connection)
    } finally {
      connection.close()
    }
  } finally {
    await worker.stop()
  }
}

/** What a process has spent until it listens, and its threads rest. */
async function settled(pid: number): Promise<ThreadTimes> {
  await sleep(SETTLE_MS)
  return threadTimes(pid)
}

async function started(directory: string, stores: OuterStores, inert: boolean): Promise<ThreadTimes> {
  const worker = await startBareWorker(directory, stores, { inert })
  return withWorker(worker, () => settled(worker.pid))
}

/** A model's first request in a fresh isolate, and a later one. Leaves in `stores` what the first one asked for. */
async function served(directory: string, stores: OuterStores, { name, sizes }: Subject) {
  const request = binaryRequest(name, sizes[0]?.inputs ?? [])
  const worker = await startBareWorker(directory, stores)
  return withWorker(worker, async (connection) => {
    const start = await settled(worker.pid)
    stores.takeAsked()
    await ask(connection, request)
    const first = difference(start, await settled(worker.pid))
    for (let more = 2; more < LATER; more++) await ask(connection, request)
    const before = await settled(worker.pid)
    await ask(connection, request)
    return { start, first, later: difference(before, await settled(worker.pid)).first }
  })
}

/** What the reads of the request before take alone, as the first request of a fresh isolate. */
async function onlyRead(directory: string, stores: OuterStores): Promise<number> {
  const keys = stores.takeAsked()
  const worker = await startBareWorker(directory, stores)
  return withWorker(worker, async (connection) => {
    const before = await settled(worker.pid)
    await ask(connection, requestBytes({ method: 'POST', path: '/', body: JSON.stringify(keys) }))
    return difference(before, await settled(worker.pid)).first
  })
}

function difference(before: ThreadTimes, after: ThreadTimes): ThreadTimes {
  return { first: after.first - before.first, others: after.others - before.others }
}

function spent(times: readonly ThreadTimes[]): Spent {
  return {
    isolate: summarise(times.map(({ first }) => first)),
    helpers: summarise(times.map(({ others }) => others)),
  }
}
