import { performance } from 'node:perf_hooks'
import type { Connection } from './connection.ts'
import { ask } from './worker-client.ts'

const MISSES = 5
const HITS = 20

/** Times in milliseconds. */
export interface HitsAndMisses {
  readonly misses: number[]
  readonly hits: number[]
}

export interface CachedRequests {
  /** A request that was never sent before. */
  readonly fresh: () => Buffer
  /** A request whose answer the result cache has. */
  readonly kept: Buffer
  readonly rounds: number
}

/** Times answers of runs and of the result cache. They take turns, so that a disturbance of the machine hits both. */
export async function hitsAndMisses(
  connection: Connection,
  { fresh, kept, rounds }: CachedRequests,
): Promise<HitsAndMisses> {
  const misses: number[] = []
  const hits: number[] = []
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < MISSES; i++) misses.push(await timed(connection, fresh(), 'miss'))
    for (let i = 0; i < HITS; i++) hits.push(await timed(connection, kept, 'hit'))
  }
  return { misses, hits }
}

/** @throws Error unless the cache did what was expected: something else would be measured */
export async function timed(connection: Connection, request: Buffer, expected: 'hit' | 'miss'): Promise<number> {
  const begun = performance.now()
  const { headers } = await ask(connection, request)
  const ms = performance.now() - begun
  const outcome = headers.get('verge-cache')
  if (outcome !== expected) throw new Error(`the result cache said ${outcome} where a ${expected} was meant`)
  return ms
}
