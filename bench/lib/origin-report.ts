import type { HttpBatchingFigures } from '../measures/origin-batching.ts'
import type { LargeRow } from '../measures/origin-large.ts'
import type { Overhead } from '../measures/origin-overhead.ts'
import { DECODER, type ProviderFigures } from '../measures/origin-provider.ts'
import type { StreamFigures } from '../measures/origin-stream.ts'
import { both, mega, ms, percent, verdict } from './format.ts'
import type { Machine } from './machine.ts'
import type { Summary } from './stats.ts'
import type { Table } from './table.ts'

/** Whatever was measured in a run. */
export interface OriginFigures {
  readonly machine: Machine
  /** What the origin computed with. */
  readonly provider?: string
  readonly overhead?: readonly Overhead[]
  readonly streams?: StreamFigures
  readonly large?: readonly LargeRow[]
  readonly batching?: HttpBatchingFigures
  readonly providers?: ProviderFigures
}

const MOST_OVERHEAD_MS = 3
const MOST_EVENT_MS = 5
const MOST_GROWTH_BYTES = 16e6
const LEAST_GAIN = 1.5

/** A table for each part, with the figures to reach beside those of the run. */
export function originReport(figures: OriginFigures): Table[] {
  const { cores, cpu, memoryGiB, node, onnxruntime, workerd } = figures.machine
  const where = `${cores} cores of ${cpu}, ${memoryGiB} GiB; Node ${node}, workerd ${workerd}, onnxruntime-node ${onnxruntime}`
  const found = [
    figures.overhead && overheadTable(figures.overhead, figures.provider ?? ''),
    figures.streams && streamTable(figures.streams),
    figures.large && largeTable(figures.large),
    figures.batching && batchingTable(figures.batching),
    figures.providers && providerTable(figures.providers),
  ].filter((table) => table !== undefined)
  return found.map((table, at) => (at === 0 ? { ...table, title: `${table.title}: ${where}` } : table))
}

function overheadTable(rows: readonly Overhead[], provider: string): Table {
  return {
    title: `Through the Worker to an origin (provider ${provider})`,
    head: ['request', 'model', 'bytes', 'origin itself', 'bare Worker', 'Verge', 'more', 'within a round', ''],
    rows: rows.map(({ bare, bytes, direct, extra, extraWithin, model, through, what }) => [
      what,
      model,
      String(bytes),
      both(direct, 2),
      both(bare, 2),
      both(through, 2),
      ms(extra, 2),
      ms(extraWithin, 2),
      `at most ${MOST_OVERHEAD_MS} ms: ${verdict(extra <= MOST_OVERHEAD_MS)}`,
    ]),
  }
}

function streamTable({ direct, firstTokenDirect, firstTokenThrough, through }: StreamFigures): Table {
  const target = `at most ${MOST_EVENT_MS} ms: ${verdict(through.first.p50 <= MOST_EVENT_MS && through.first.p95 <= MOST_EVENT_MS)}`
  return {
    title: 'Streams',
    head: ['what', 'origin itself', 'through the Worker', ''],
    rows: [
      ['stand-in: first event, sent to received', both(direct.first, 2), both(through.first, 2), target],
      ['stand-in: later events', both(direct.later, 2), both(through.later, 2), ''],
      ['abacus: request to first token', both(firstTokenDirect, 2), both(firstTokenThrough, 2), ''],
    ],
  }
}

function largeTable(rows: readonly LargeRow[]): Table {
  return {
    title: 'A hundred megabytes through the Worker: growth of its process, median (most) of several',
    head: ['what', 'resident before', 'first', 'after five', 'time', ''],
    rows: rows.map(({ after, first, residentBefore, time, what }) => [
      what,
      mega(residentBefore),
      `${mega(first.median)} (${mega(first.most)})`,
      `${mega(after.median)} (${mega(after.most)})`,
      both(time, 2),
      `under ${mega(MOST_GROWTH_BYTES)}: ${verdict(after.most < MOST_GROWTH_BYTES)}`,
    ]),
  }
}

function batchingTable({ gain, rows }: HttpBatchingFigures): Table {
  return {
    title: 'Batches by HTTP: texts of 16 tokens, encoder-fp32',
    head: ['origin asked', 'max batch', 'callers', 'answers/s', 'latency', 'failed', 'client busy', ''],
    rows: rows.map(({ callers, clientBusy, failed, maxBatch, p50, p95, perSecond, way }) => [
      way,
      String(maxBatch),
      String(callers),
      perSecond.toFixed(0),
      both({ p50, p95 }, 2),
      String(failed),
      percent(clientBusy, 0),
      maxBatch === 1 ? '' : `${gain[way].toFixed(2)}x, at least ${LEAST_GAIN}x: ${verdict(gain[way] >= LEAST_GAIN)}`,
    ]),
  }
}

function providerTable({ missing, rows }: ProviderFigures): Table {
  const cells = rows.flatMap(({ decoder, encoder, provider }) => [
    ...encoder.map(({ time, what }) => [provider, 'encoder-fp32', what, both(time, 2)]),
    [provider, DECODER, `prompt of ${decoder.promptTokens} tokens`, rate(decoder.prompt)],
    [provider, DECODER, `${decoder.writtenTokens} tokens, one by one`, rate(decoder.written)],
  ])
  return {
    title: 'Providers',
    head: ['provider', 'model', 'what', ''],
    rows: [...cells, ...missing.map((provider) => [provider, '', 'does not run here', ''])],
  }
}

function rate({ p50, p95 }: Summary): string {
  return `${(1000 / p50).toFixed(0)} tokens/s: ${both({ p50, p95 }, 2)} each`
}
