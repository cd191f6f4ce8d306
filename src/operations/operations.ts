import type { Limits } from '../core/limits.ts'
import type { Clock, Logger, RequestContext } from '../core/runtime.ts'
import type {
  OperationsBody,
  OperationsChange,
  OperationsOrigin,
  OperationsProblem,
  Part,
} from '../protocols/verge/operations.ts'
import { Kept, type Read } from './kept.ts'
import { type ListedAlias, modelRows } from './models.ts'
import type { Spending } from './spending.ts'
import { type Counted, hourOf } from './traffic.ts'
import { verdictOf } from './verdict.ts'

/** Where the parts of the report come from. A source that is not bound is left out. */
export interface OperationsSources {
  readonly traffic?: (context: RequestContext) => Promise<Counted>
  readonly models: (context: RequestContext) => Promise<readonly ListedAlias[]>
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
  readonly limits: Pick<Limits, 'operationsModels' | 'operationsPartMs' | 'operationsStoreTtlMs' | 'operationsTtlMs'>
}

/** Answers an operator: is it healthy, who uses it, what does it cost, what changed. */
export interface OperationsReader {
  read(context: RequestContext): Promise<OperationsBody>
}

/** The report of one isolate, over sources that speak for all of them. */
export class Operations implements OperationsReader {
  readonly #options: OperationsOptions
  readonly #traffic: Kept<Counted> | undefined
  readonly #models: Kept<readonly ListedAlias[]>
  readonly #changes: Kept<OperationsChange[]>
  readonly #spending: Kept<Spending> | undefined
  readonly #origins: Kept<OperationsOrigin[]> | undefined

  constructor(options: OperationsOptions) {
    this.#options = options
    const { operationsStoreTtlMs, operationsTtlMs } = options.limits
    this.#traffic = options.traffic && this.#kept('traffic', options.traffic, operationsTtlMs)
    this.#models = this.#kept('models', options.models, operationsStoreTtlMs)
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
    const aliases = partOf('models', readModels)
    const spending = partOf('cost', readSpending)
    const changes = partOf('changes', readChanges)
    const origins = partOf('origins', readOrigins)
    if (counted !== undefined && counted.unreachable > 0) problems.push({ part: 'traffic', what: MISSING_SHARDS })
    if (spending?.truncated) problems.push({ part: 'cost', what: MORE_CALLERS })
    const traffic = counted && hourOf(counted.minutes, clock.now())
    const { leftOut, rows } = modelRows({ aliases, traffic, costs: spending?.models }, limits.operationsModels)
    const parts = {
      isolates: counted?.isolates ?? null,
      lost: counted?.lost ?? null,
      totals: traffic?.totals ?? null,
      minutes: traffic?.minutes ?? null,
      models: aliases === undefined && traffic === undefined ? null : rows,
      modelsLeftOut: leftOut,
      cost: spending?.cost ?? null,
      callers: spending?.callers ?? null,
      origins: origins ?? null,
      changes: changes ?? null,
    }
    const { alerts, health } = verdictOf({ ...parts, problems })
    return { at: new Date(clock.now()).toISOString(), version, health, alerts, problems, ...parts }
  }

  #kept<T>(name: Part, read: (context: RequestContext) => Promise<T>, ttlMs: number): Kept<T> {
    const { clock, limits, logger } = this.#options
    return new Kept(read, { name, clock, logger, ttlMs, mostMs: limits.operationsPartMs })
  }
}

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
