import type { Alias } from '../catalog/alias.ts'
import type { Limits } from '../core/limits.ts'
import type { Clock, Logger, RequestContext } from '../core/runtime.ts'
import type {
  OperationsBody,
  OperationsChange,
  OperationsOrigin,
  OperationsProblem,
  Part,
  SingleIsolates,
} from '../protocols/verge/operations.ts'
import type { MetricsSnapshot } from '../telemetry/metrics/reader.ts'
import { Kept, type Read } from './kept.ts'
import { type Latency, LatencyWindow } from './latency.ts'
import { busiest, type ListedModel, modelRows, type Watched } from './models.ts'
import type { Spending } from './spending.ts'
import { type HourOfTraffic, hourOf } from './traffic.ts'
import { singleIsolates, type Utilizations, utilizationsOf } from './utilization.ts'
import { verdictOf } from './verdict.ts'

/** Where the parts of the report come from. A source that is not bound is left out. */
export interface OperationsSources {
  readonly traffic?: (context: RequestContext) => Promise<MetricsSnapshot>
  /** A list of models by name, as far as one page has them. */
  readonly models: (context: RequestContext) => Promise<readonly ListedModel[]>
  /** Null if there is no such model. */
  readonly alias: (model: string, context: RequestContext) => Promise<Alias | null>
  /** What the watch says of the canary of this generation; undefined if it has heard nothing of it. */
  readonly watched?: (alias: Alias, context: RequestContext) => Promise<Watched | undefined>
  readonly spending?: (context: RequestContext) => Promise<Spending>
  readonly changes: (context: RequestContext) => Promise<OperationsChange[]>
  /** Absent where no origins are configured. */
  readonly origins?: (context: RequestContext) => Promise<OperationsOrigin[]>
}

export interface OperationsOptions extends OperationsSources {
  /** Of Verge. */
  readonly version: string
  readonly clock: Pick<Clock, 'after' | 'now'>
  readonly logger: Logger
  readonly limits: Pick<
    Limits,
    | 'operationsIsolates'
    | 'operationsModels'
    | 'operationsPartMs'
    | 'operationsStoreTtlMs'
    | 'operationsTtlMs'
    | 'parallelFetches'
  >
}

/** Answers an operator: is it healthy, who uses it, what does it cost, what changed. */
export interface OperationsReader {
  read(context: RequestContext): Promise<OperationsBody>
}

/** The report of one isolate, over sources that speak for all of them. */
export class Operations implements OperationsReader {
  readonly #options: OperationsOptions
  readonly #latencies: LatencyWindow
  readonly #traffic: Kept<Counted> | undefined
  readonly #models: Kept<readonly ListedModel[]>
  readonly #aliases: Kept<readonly Alias[]>
  readonly #watched: Kept<ReadonlyMap<string, Watched>> | undefined
  /** Models that had traffic at the last look. */
  #busy: readonly string[] = []
  /** Of these, those with a canary. */
  #trials: readonly Alias[] = []
  readonly #changes: Kept<OperationsChange[]>
  readonly #spending: Kept<Spending> | undefined
  readonly #origins: Kept<OperationsOrigin[]> | undefined

  constructor(options: OperationsOptions) {
    this.#options = options
    const { operationsStoreTtlMs, operationsTtlMs } = options.limits
    this.#latencies = new LatencyWindow(options.clock)
    const { traffic } = options
    this.#traffic =
      traffic && this.#kept('traffic', async (context) => this.#counted(await traffic(context)), operationsTtlMs)
    this.#models = this.#kept('models', options.models, operationsStoreTtlMs)
    this.#aliases = this.#kept('models', (context) => this.#readAliases(context), operationsTtlMs)
    const { watched } = options
    this.#watched = watched && this.#kept('canaries', (context) => this.#readWatched(watched, context), operationsTtlMs)
    this.#changes = this.#kept('changes', options.changes, operationsStoreTtlMs)
    this.#spending = options.spending && this.#kept('cost', options.spending, operationsStoreTtlMs)
    this.#origins = options.origins && this.#kept('origins', options.origins, operationsTtlMs)
  }

  async read(context: RequestContext): Promise<OperationsBody> {
    const { clock, limits, version } = this.#options
    const problems: OperationsProblem[] = []
    const partOf = <T>(part: Part, { value, why }: Read<T>): T | undefined => {
      if (why !== undefined) problems.push({ part, what: why })
      return value ?? undefined
    }
    const [readTraffic, readModels, readSpending, readChanges, readOrigins] = await Promise.all([
      this.#traffic?.get(context) ?? NO_METRICS,
      this.#models.get(context),
      this.#spending?.get(context) ?? NO_LEDGERS,
      this.#changes.get(context),
      this.#origins?.get(context) ?? NO_ORIGINS,
    ])
    const counted = partOf('traffic', readTraffic)
    const listed = partOf('models', readModels)
    const spending = partOf('cost', readSpending)
    const changes = partOf('changes', readChanges)
    const origins = partOf('origins', readOrigins)
    if (counted !== undefined && counted.unreachable > 0) problems.push({ part: 'traffic', what: MISSING_SHARDS })
    if (spending?.truncated) problems.push({ part: 'cost', what: MORE_CALLERS })
    const { latencies, traffic, utilizations } = counted ?? {}
    this.#busy = traffic === undefined ? [] : busiest(traffic).slice(0, limits.operationsModels)
    // They come out of the same store as the list: one problem is enough.
    const aliases = (await this.#aliases.get(context)).value ?? undefined
    this.#trials = (aliases ?? []).filter(({ canary }) => canary !== undefined).slice(0, MOST_TRIALS)
    const readWatched = await this.#watched?.get(context)
    const watched = readWatched && partOf('canaries', readWatched)
    const { leftOut, rows } = modelRows(
      { listed, aliases, watched, traffic, latencies, utilizations: utilizations?.models, costs: spending?.models },
      limits.operationsModels,
    )
    const parts = {
      isolates: counted?.isolates ?? null,
      lost: counted?.lost ?? null,
      utilization: utilizations?.whole ?? null,
      singleIsolates: counted?.singles ?? null,
      totals: traffic?.totals ?? null,
      minutes: traffic?.minutes ?? null,
      models: listed === undefined && traffic === undefined ? null : rows,
      modelsLeftOut: leftOut,
      cost: spending?.cost ?? null,
      callers: spending?.callers ?? null,
      origins: origins ?? null,
      changes: changes ?? null,
    }
    const { alerts, health } = verdictOf({ ...parts, problems })
    return { at: new Date(clock.now()).toISOString(), version, health, alerts, problems, ...parts }
  }

  /** The metrics of ten thousand models are 50 MB: they are not kept. */
  #counted(snapshot: MetricsSnapshot): Counted {
    const { clock, limits } = this.#options
    const { isolates, lost, minutes, unreachable, uses } = snapshot
    const traffic = hourOf(minutes, clock.now())
    const busy = new Set(busiest(traffic).slice(0, limits.operationsModels))
    const latencies = this.#latencies.of(snapshot, busy)
    const singles = singleIsolates(uses, clock.now(), limits.operationsIsolates)
    return { isolates, lost, unreachable, traffic, latencies, utilizations: utilizationsOf(snapshot), singles }
  }

  /** Mostly out of the isolate's memory: it has them for requests. */
  async #readAliases(context: RequestContext): Promise<readonly Alias[]> {
    const { alias, limits } = this.#options
    const left = this.#busy.values()
    const found: Alias[] = []
    const readInTurn = async (): Promise<void> => {
      for (const model of left) {
        // One that cannot be read must not cost all others.
        const read = await alias(model, context).catch(() => null)
        if (read !== null) found.push(read)
      }
    }
    await Promise.all(Array.from({ length: limits.parallelFetches }, readInTurn))
    return found
  }

  async #readWatched(
    watched: NonNullable<OperationsSources['watched']>,
    context: RequestContext,
  ): Promise<ReadonlyMap<string, Watched>> {
    const states = await Promise.all(
      this.#trials.map(async (alias) => [alias.model, await watched(alias, context)] as const),
    )
    return new Map(states.flatMap(([model, state]) => (state === undefined ? [] : [[model, state]])))
  }

  #kept<T>(name: Part, read: (context: RequestContext) => Promise<T>, ttlMs: number): Kept<T> {
    const { clock, limits, logger } = this.#options
    return new Kept(read, { name, clock, logger, ttlMs, mostMs: limits.operationsPartMs })
  }
}

/** What the report says of the metrics. */
interface Counted extends Pick<MetricsSnapshot, 'isolates' | 'lost' | 'unreachable'> {
  readonly traffic: HourOfTraffic
  /** Of the busiest models. */
  readonly latencies: ReadonlyMap<string, Latency>
  readonly utilizations: Utilizations
  readonly singles: SingleIsolates
}

/** Canaries of which the watch is asked, a Durable Object each. Few models are on trial at once. */
const MOST_TRIALS = 16

const NO_METRICS: Read<never> = {
  value: null,
  why: 'This Worker gathers no metrics. Bind the Durable Object METRICS (docs/operate.md).',
}

const NO_LEDGERS: Read<never> = {
  value: null,
  why: 'This Worker counts no usage. Bind the Durable Object LEDGER (docs/usage.md).',
}

/** Without origins nothing is wrong with them. */
const NO_ORIGINS: Read<OperationsOrigin[]> = { value: [] }

const MISSING_SHARDS = 'A part of the metrics did not answer, and what it counted is missing. Look again in a moment.'

const MORE_CALLERS = 'There are more callers than this report reads. "npx verge usage" adds up all of them.'
