import type { HttpBatchingFigures } from '../measures/origin-batching.ts'
import type { LargeRow } from '../measures/origin-large.ts'
import type { Overhead } from '../measures/origin-overhead.ts'
import { DECODER, type ProviderFigures } from '../measures/origin-provider.ts'
import type { StreamFigures } from '../measures/origin-stream.ts'
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
const MB = 1e6

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
      both(direct),
      both(bare),
      both(through),
      ms(extra),
      ms(extraWithin),
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
      ['stand-in: first event, sent to received', both(direct.first), both(through.first), target],
      ['stand-in: later events', both(direct.later), both(through.later), ''],
      ['abacus: request to first token', both(firstTokenDirect), both(firstTokenThrough), ''],
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
      both(time),
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
      `${ms(p50)} / ${ms(p95)}`,
      String(failed),
      `${(100 * clientBusy).toFixed(0)} %`,
      maxBatch === 1 ? '' : `${gain[way].toFixed(2)}x, at least ${LEAST_GAIN}x: ${verdict(gain[way] >= LEAST_GAIN)}`,
    ]),
  }
}

function providerTable({ missing, rows }: ProviderFigures): Table {
  const cells = rows.flatMap(({ decoder, encoder, provider }) => [
    ...encoder.map(({ time, what }) => [provider, 'encoder-fp32', what, both(time)]),
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
  return `${(1000 / p50).toFixed(0)} tokens/s: ${ms(p50)} / ${ms(p95)} each`
}

function ms(value: number): string {
  return `${value.toFixed(2)} ms`
}

function both({ p50, p95 }: Summary): string {
  return `${ms(p50)} / ${ms(p95)}`
}

function mega(bytes: number): string {
  return `${(bytes / MB).toFixed(1)} MB`
}

function verdict(reached: boolean): string {
  return reached ? 'reached' : 'missed'
}
