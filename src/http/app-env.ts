import type { Caller } from '../access/authorize.ts'
import type { Credentials } from '../access/credentials.ts'
import type { Plan } from '../access/plan.ts'
import type { ErrorCode } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import type { Clock, Logger, RunCounter } from '../core/runtime.ts'
import type { RequestTracer } from '../core/tracing.ts'
import type { WorkLane } from '../core/work.ts'
import type { CallContext } from '../inference/call.ts'
import type { Shadows } from '../inference/shadow/shadows.ts'
import type { Metering } from '../metering/metering.ts'
import type { UsageQueries } from '../metering/usage/usage-queries.ts'
import type { OperationsReader } from '../operations/operations.ts'
import type { Placement } from '../placement/placement.ts'
import type { CanaryReader } from '../releases/watch/reader.ts'
import type { Admission } from '../serving/admission.ts'
import type { Residence, Serving } from '../serving/serving.ts'
import type { RefusedSocket } from '../stream/refused-socket.ts'
import type { StreamHost } from '../stream/stream-options.ts'
import type { MetricsReader } from '../telemetry/metrics/reader.ts'
import type { RequestObserver } from '../telemetry/observation.ts'
import type { Store } from '../weights/store.ts'
import type { AddressDefaults } from './addresses.ts'
import type { Downloads } from './browser/weights.ts'
import type { RequestLog } from './middleware/call.ts'
import type { KnownCaller, SignatureCheck } from './middleware/caller.ts'
import type { ModelNames } from './model-names.ts'

/** Settings parsed once from the environment. */
export interface AppConfig extends AddressDefaults {
  /** Verge's own version, for metadata. */
  readonly version: string
  /** Origins whose pages may read answers; `*` for any. Empty: same origin only. */
  readonly corsOrigins: readonly string[]
  /** What browser tokens are signed with. Absent: none are minted. */
  readonly tokenKey?: Uint8Array | undefined
  /** Longest that a request may take, in milliseconds. */
  readonly deadlineMs: number
  /** Names of models that the operator has given them besides their own. */
  readonly modelNames?: ModelNames | undefined
}

/** Plans and limits of models, by their names. */
export interface ConfiguredLimits {
  readonly plans: ReadonlyMap<string, Plan>
  readonly models: ReadonlyMap<string, Pick<Plan, 'rate' | 'concurrency'>>
}

/** The playground's document, as bytes; undefined where it was not built. */
export type PageDocument = () => Promise<ReadableStream<Uint8Array> | undefined>

/**
 * Counts one request.
 * @param route its pattern
 * @param waitUntil keeps work alive behind the answer
 */
export type CountHttp = (route: string, status: number, waitUntil: (work: Promise<unknown>) => void) => void

/** Everything that the HTTP layer needs from outside. */
export interface AppDeps {
  readonly serving: Serving
  readonly admission: Admission
  readonly config: AppConfig
  readonly clock: Clock
  readonly logger: Logger
  /** Counts the runs of this isolate. */
  readonly runs: RunCounter
  readonly limits: Limits
  /** Where decoding and everything else that takes long is done, one request's after the other's. */
  readonly lane: WorkLane
  /** A fresh identifier of letters, digits and "-". */
  readonly randomId: () => string
  /** What the operator decides of loaded models. Absent where that is nobody's. */
  readonly residence?: Residence
  /** Finds out who calls by the credential that is sent. Absent: none is accepted, as on an origin. */
  readonly credentials?: Credentials
  /** Checks requests that are signed with a key of Verge's own servers. Absent: every signature is refused. */
  readonly signatures?: SignatureCheck
  /** Who calls, where requests come by a binding and not from outside. Absent for everything that anyone can reach. */
  readonly knownCaller?: KnownCaller
  /** What origins may read the catalogue and weights from: the truth. Absent: nothing is given out. */
  readonly weights?: Store
  /** What callers have used. Absent where nothing is counted, as on an origin. */
  readonly usage?: UsageQueries
  /** What an operator is told of all isolates. Absent on an origin, which has metrics of its own. */
  readonly operations?: OperationsReader
  /** What gives weights to browsers. Absent where they get none, as on an origin. */
  readonly downloads?: Downloads
  /** Absent where everything is computed here, as on an origin. */
  readonly placement?: Placement
  /** Absent where there is no page: on an origin, or turned off. */
  readonly page?: PageDocument
  /** Limits and counts requests. Absent where nothing is limited: on an origin. */
  readonly metering?: Metering
  /** What is known of canaries. Absent where none is watched. */
  readonly canaries?: CanaryReader
  /** Repeats requests to models with a canary. */
  readonly shadows?: Pick<Shadows, 'begin'>
  /** Which limits are configured, for explanations. Absent where there are none. */
  readonly limited?: ConfiguredLimits
  /** What all isolates have counted. Absent where nothing is: on an origin, or without METRICS. */
  readonly metrics?: MetricsReader
  /** Counts every request. Absent where nobody does. */
  readonly countHttp?: CountHttp
  /** Is told of each inference. Absent where nobody is: on an origin. */
  readonly observer?: RequestObserver
  /** Records traces. Absent where none are configured. */
  readonly tracer?: RequestTracer | undefined
  /** Absent: requests that succeed leave nothing in the log. */
  readonly requestLog?: RequestLog
  /** Absent where the platform has no place for them. */
  readonly streams?: StreamHost
  /** Opens a WebSocket that says why it is refused and closes. Absent where there are none: refusals are then HTTP's. */
  readonly refuseSocket?: (refusal: RefusedSocket) => WebSocket
}

/** What the middleware leaves for handlers. */
export interface AppVariables {
  readonly requestId: string
  readonly caller: Caller
  readonly context: CallContext
  /** When the request came, as spans have it; only where traces are recorded. */
  readonly arrivedAt?: number
  /** The request's trace, where it is recorded. */
  readonly traceId?: string
  /** What was reported of the request that failed, at its beginning or in the middle of its answer. */
  readonly failure?: { readonly code: ErrorCode; readonly status: number }
  /** The answer is a refusal whatever its status says, and has been logged as one. */
  readonly refused?: boolean
  /** How the answer may be kept, where it is the same at any moment; otherwise it must not be. */
  readonly cacheControl?: string
}

export type AppEnv = { Variables: AppVariables }
