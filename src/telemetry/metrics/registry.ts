import type { Limits } from '../../core/limits.ts'
import type { GaugeReading, MetricBlock, SeriesDelta, Traffic } from './block.ts'
import {
  type CounterName,
  type HistogramName,
  type LabelsOf,
  lengthOf,
  METRICS,
  type MetricDefinition,
  type MetricName,
  OTHER,
  together,
} from './definitions.ts'
import type { Meter } from './meter.ts'

export interface MetricRegistryOptions {
  readonly limits: Pick<Limits, 'metricSeries' | 'metricTraffic'>
  /** A name of this isolate that no other has. Asked for with the first block: at start-up there is no randomness. */
  readonly randomId: () => string
  /** The gauges of this isolate, read when a block is made. */
  readonly gauges: () => readonly GaugeReading[]
}

interface Cell {
  readonly name: string
  readonly labels: readonly string[]
  readonly values: number[]
}

type Row = { -readonly [K in keyof Traffic]: Traffic[K] }

/** What this isolate has counted and not yet handed over. Its memory is bounded by `metricSeries`. */
export class MetricRegistry implements Meter {
  readonly #options: MetricRegistryOptions
  readonly #cells = new Map<string, Cell>()
  readonly #traffic = new Map<string, Row>()
  /** Sent, and maybe booked: it stays as it is until that is known. */
  #sent: MetricBlock | undefined
  #source: string | undefined
  #seq = 0
  #lost = 0

  constructor(options: MetricRegistryOptions) {
    this.#options = options
  }

  count<N extends CounterName>(name: N, labels: LabelsOf<N>, by = 1): void {
    const cell = this.#cell(name, METRICS[name], labels)
    if (cell !== undefined) cell.values[0] = (cell.values[0] ?? 0) + by
  }

  observe<N extends HistogramName>(name: N, labels: LabelsOf<N>, value: number): void {
    const { buckets } = METRICS[name]
    const cell = this.#cell(name, METRICS[name], labels)
    if (cell === undefined || !Number.isFinite(value)) return
    const found = buckets.findIndex((bound) => value <= bound)
    const bucket = found === -1 ? buckets.length : found
    const sum = buckets.length + 1
    cell.values[bucket] = (cell.values[bucket] ?? 0) + 1
    // A clock that has gone back measures less than nothing, and a sum never falls.
    cell.values[sum] = (cell.values[sum] ?? 0) + Math.max(0, value)
  }

  /** Adds to the minute in which the block arrives. */
  add(traffic: Traffic): void {
    const { limits } = this.#options
    const key = `${traffic.model}\n${traffic.version}\n${traffic.place}`
    const named = this.#traffic.has(key) || this.#traffic.size < limits.metricTraffic
    const row = named ? traffic : { ...traffic, model: OTHER, version: OTHER }
    const kept = named ? key : `${OTHER}\n${OTHER}\n${traffic.place}`
    const before = this.#traffic.get(kept)
    if (before === undefined) {
      this.#traffic.set(kept, { ...row })
      return
    }
    before.requests += row.requests
    before.errors += row.errors
    before.units += row.units
    before.tokens += row.tokens
  }

  /** Whether there is anything that no block has yet. */
  get empty(): boolean {
    return this.#cells.size === 0
  }

  /** What is to be sent now: the block that may not have arrived, or all that was counted. Undefined: nothing. */
  take(): MetricBlock | undefined {
    if (this.#sent !== undefined || this.empty) return this.#sent
    this.#source ??= this.#options.randomId()
    const series: SeriesDelta[] = [...this.#cells.values()]
    const traffic = [...this.#traffic.values()]
    const gauges = this.#options.gauges()
    this.#sent = { source: this.#source, seq: ++this.#seq, series, traffic, gauges, lost: this.#lost }
    this.#cells.clear()
    this.#traffic.clear()
    this.#lost = 0
    return this.#sent
  }

  /** A block was booked: it is never sent again. */
  booked(seq: number): void {
    if (this.#sent?.seq === seq) this.#sent = undefined
  }

  #cell(name: MetricName, definition: MetricDefinition, labels: Readonly<Record<string, string>>): Cell | undefined {
    const values = definition.labels.map((label) => labels[label] ?? '')
    const key = `${name}\n${values.join('\n')}`
    const known = this.#cells.get(key)
    if (known !== undefined) return known
    const { metricSeries } = this.#options.limits
    if (this.#cells.size < metricSeries) return this.#made(key, name, definition, values)
    const others = together(definition, values)
    const otherKey = `${name}\n${others.join('\n')}`
    const other = this.#cells.get(otherKey)
    if (other !== undefined) return other
    // As many again: the values that are left are names of the code's.
    if (this.#cells.size < 2 * metricSeries) return this.#made(otherKey, name, definition, others)
    this.#lost++
    return undefined
  }

  #made(key: string, name: string, definition: MetricDefinition, labels: readonly string[]): Cell {
    const cell: Cell = { name, labels, values: new Array<number>(lengthOf(definition)).fill(0) }
    this.#cells.set(key, cell)
    return cell
  }
}
