import { DurableObject } from 'cloudflare:workers'
import type { Clock } from '../../core/runtime.ts'
import type { MetricBlock, SeriesName, ShardReading } from './block.ts'
import { soundBlock } from './sound-block.ts'
import { MetricTables, type TableLimits } from './tables.ts'

export interface MetricShardDeps {
  /** Its `now` must count from 1970. */
  readonly clock: Pick<Clock, 'now'>
  readonly limits: TableLimits
}

/** What a share of the isolates has counted. What is booked is durable before the answer leaves the object. */
export class MetricShardObject extends DurableObject {
  readonly #clock: Pick<Clock, 'now'>
  readonly #tables: MetricTables

  constructor(state: DurableObjectState, env: unknown, { clock, limits }: MetricShardDeps) {
    super(state, env as never)
    this.#clock = clock
    this.#tables = new MetricTables(state.storage, limits)
  }

  async book(block: MetricBlock): Promise<void> {
    const sound = soundBlock(block)
    if (sound !== undefined) this.#tables.book(sound, this.#clock.now())
  }

  async forget(series: readonly SeriesName[]): Promise<void> {
    this.#tables.forget(series, this.#clock.now())
  }

  async read(): Promise<ShardReading> {
    return this.#tables.read(this.#clock.now())
  }
}
