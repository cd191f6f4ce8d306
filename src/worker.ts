import { env as bindings, WorkerEntrypoint } from 'cloudflare:workers'
import { assemble, type Verge } from './assemble/assemble.ts'
import { stopOf } from './assemble/canary-stop.ts'
import type { Env } from './assemble/env.ts'
import type { Platform } from './assemble/shared.ts'
import { tracingOf } from './assemble/traces.ts'
import type {
  VergeBinding,
  VergeCallOptions,
  VergeChat,
  VergeChatRequest,
  VergeEvents,
  VergeInputs,
  VergeOutcome,
  VergeReply,
  VergeRunOptions,
  VergeText,
  VergeTextRequest,
} from './client/rpc-types.ts'
import { type Config, parseConfig } from './config/config.ts'
import { checkBindings } from './config/variables.ts'
import { LIMITS } from './core/limits.ts'
import { consoleLogger, systemClock } from './core/runtime.ts'
import { LedgerObject } from './metering/ledger/durable.ts'
import { KvHealthStore } from './placement/health-store.ts'
import { probeAndRecord } from './placement/probing.ts'
import { probeOrigin } from './placement/remote/probe.ts'
import { rehearse } from './rehearsal/rehearse.ts'
import { ReleaseGuardObject } from './releases/guard.ts'
import { CanaryWatchObject } from './releases/watch/durable.ts'
import { RpcError } from './rpc/answer.ts'
import type { RpcCall } from './rpc/service.ts'
import type { RunOutcome } from './rpc/workers-ai.ts'
import { AiError } from './rpc/workers-ai-error.ts'
import { StreamObject } from './stream/durable.ts'
import { MetricShardObject } from './telemetry/metrics/shard.ts'
import { R2Store } from './weights/r2.ts'

export type { Env } from './assemble/env.ts'

const PLATFORM: Platform = {
  clock: systemClock,
  logger: consoleLogger,
  random: Math.random,
  randomId: () => crypto.randomUUID(),
}

/** Of the rehearsal's engine, whose memory is of no use afterwards. */
const REHEARSAL_HEAP_BYTES = 512 * 1024

/** Kept for the isolate's life. */
let verge: Verge | undefined

/** Put together at start-up, for the bindings that modules see; undefined where that failed. */
let prepared: { readonly env: Env; readonly verge: Verge } | undefined

// The platform bills no start-up. Whatever fails here fails again in a request, which can be answered.
prepare(bindings as Env).catch(() => {})
rehearse(async (env, platform) => {
  const { limits, ...config } = await parseConfig(env)
  return assemble(env, { ...config, limits: { ...limits, engineHeapBytes: REHEARSAL_HEAP_BYTES } }, platform)
}).catch(() => {})

export default {
  async fetch(request, env, context): Promise<Response> {
    const { app } = await assembled(env)
    return app.fetch(request, {}, context)
  },

  /** Once a minute: how the origins fare, for isolates that have asked none yet; and lists, where they lag behind the aliases. */
  async scheduled(_controller, env): Promise<void> {
    const { index, limits, origins } = await assembled(env)
    const probing = { clock: systemClock, limits, logger: consoleLogger }
    const probed =
      origins.length > 0 &&
      probeAndRecord(
        origins,
        (origin, signal) => probeOrigin(origin, signal, probing),
        new KvHealthStore(env.KV, limits),
        probing,
      )
    const [result] = await Promise.allSettled([probed, index.tick()])
    if (result.status === 'rejected') throw result.reason
  },
} satisfies ExportedHandler<Env>

/** A client's stream, bound as STREAMS. It hears with the engine and the sessions of the isolate that it is in. */
export class SpeechStream extends StreamObject {
  constructor(state: DurableObjectState, env: Env) {
    super(state, env, async () => (await assembled(env)).streams)
  }
}

/** What a caller has used of its rates and budgets, bound as LEDGER. docs/budgets.md says how it counts. */
export class Ledger extends LedgerObject {
  constructor(state: DurableObjectState, env: Env) {
    super(state, env, { clock: systemClock, limits: LIMITS, logger: consoleLogger, store: new R2Store(env.BUCKET) })
  }
}

/** The newest generation of a signed model, bound as RELEASES. */
export class ReleaseGuard extends ReleaseGuardObject {
  constructor(state: DurableObjectState, env: Env) {
    super(state, env, async () => (await checkedConfig(env)).releaseKeys)
  }
}

/** What a share of the isolates has counted, bound as METRICS. docs/metrics.md says how they are read. */
export class Metrics extends MetricShardObject {
  constructor(state: DurableObjectState, env: Env) {
    super(state, env, { clock: systemClock, limits: LIMITS })
  }
}

/** What watches a model's canary, bound as CANARIES. docs/canary.md has the rule. */
export class CanaryWatch extends CanaryWatchObject {
  constructor(state: DurableObjectState, env: Env) {
    super(state, env, { ...PLATFORM, limits: LIMITS, stop: stopOf(env, PLATFORM, LIMITS) })
  }
}

/** For other Workers of the account: a service binding with `entrypoint = "VergeRpc"`. docs/tasks/rpc.md has an example. */
export class VergeRpc extends WorkerEntrypoint<Env> implements VergeBinding {
  async run<Answer = unknown>(model: string, inputs: VergeInputs, options?: VergeRunOptions): Promise<Answer> {
    return answerOf(await this.tryRun<Answer>(model, inputs, options))
  }

  async tryRun<Answer = unknown>(
    model: string,
    inputs: VergeInputs,
    options?: VergeRunOptions,
  ): Promise<VergeOutcome<Answer>> {
    const { rpc } = await assembled(this.env)
    return (await rpc.run(this.#call(), model, inputs, options)) as VergeOutcome<Answer>
  }

  async chat<Answer = VergeChat & VergeEvents>(
    model: string,
    request: VergeChatRequest,
    options?: VergeCallOptions,
  ): Promise<Answer> {
    return answerOf(await this.tryChat<Answer>(model, request, options))
  }

  async tryChat<Answer = VergeChat>(
    model: string,
    request: VergeChatRequest,
    options?: VergeCallOptions,
  ): Promise<VergeReply<Answer>> {
    const { rpc } = await assembled(this.env)
    return (await rpc.write(this.#call(), '/v1/chat/completions', model, request, options)) as VergeReply<Answer>
  }

  async complete<Answer = VergeText & VergeEvents>(
    model: string,
    request: VergeTextRequest,
    options?: VergeCallOptions,
  ): Promise<Answer> {
    return answerOf(await this.tryComplete<Answer>(model, request, options))
  }

  async tryComplete<Answer = VergeText>(
    model: string,
    request: VergeTextRequest,
    options?: VergeCallOptions,
  ): Promise<VergeReply<Answer>> {
    const { rpc } = await assembled(this.env)
    return (await rpc.write(this.#call(), '/v1/completions', model, request, options)) as VergeReply<Answer>
  }

  #call(): RpcCall {
    return { props: this.ctx.props as unknown, waitUntil: (work) => this.ctx.waitUntil(work) }
  }
}

/**
 * Workers AI's binding, for Workers that call `env.AI.run`: a service binding named `AI` with `entrypoint = "WorkersAi"`.
 * docs/workers-ai.md says what maps to what.
 */
export class WorkersAi extends WorkerEntrypoint<Env> implements WorkersAiBinding {
  /** No request goes through AI Gateway. */
  get aiGatewayLogId(): null {
    return null
  }

  async run(model: string, inputs: unknown, options?: unknown): Promise<unknown> {
    const { workersAi } = await assembled(this.env)
    return ranOr(await workersAi.run(this.#call(), model, inputs, options))
  }

  async models(params?: AiModelsSearchParams): Promise<AiModelsSearchObject[]> {
    const { workersAi } = await assembled(this.env)
    return ranOr(await workersAi.models(this.#call(), params)) as AiModelsSearchObject[]
  }

  #call(): RpcCall {
    return { props: this.ctx.props as unknown, waitUntil: (work) => this.ctx.waitUntil(work) }
  }
}

/** Of Workers AI's type, what is here: its own overloads of `run` say which inputs have which outputs. */
type WorkersAiBinding = Pick<Ai, 'models' | 'aiGatewayLogId'> & {
  run(...args: Parameters<Ai['run']>): Promise<unknown>
}

/** @throws AiError */
function ranOr(outcome: RunOutcome): unknown {
  if ('answer' in outcome) return outcome.answer
  throw new AiError(outcome.failure)
}

/** @throws RpcError */
function answerOf<Answer>(outcome: VergeReply<Answer>): Answer {
  if (outcome.ok) return outcome.answer
  throw new RpcError(outcome.error)
}

async function assembled(env: Env): Promise<Verge> {
  if (verge !== undefined) return verge
  if (prepared !== undefined && hasSame(prepared.env, env)) {
    verge = prepared.verge
    return verge
  }
  const config = await checkedConfig(env)
  const tracing = await tracingOf(config, PLATFORM)
  // Asked again after the wait: of two first requests, both would make an engine with a memory of its own.
  verge ??= assemble(env, config, PLATFORM, tracing)
  return verge
}

async function prepare(env: Env): Promise<void> {
  const config = await checkedConfig(env)
  const made = assemble(env, config, PLATFORM, await tracingOf(config, PLATFORM))
  // The router makes its tables when it is asked for the first time.
  made.app.router.match('GET', '/')
  prepared = { env, verge: made }
}

/** @throws an error that names what is not bound, or the variable */
function checkedConfig(env: Env): Promise<Config> {
  checkBindings(env)
  return parseConfig(env)
}

/** Whether a handler is given what modules see: a Worker around this one may give it other bindings. */
function hasSame(left: Env, right: Env): boolean {
  const names = Object.keys(left)
  return names.length === Object.keys(right).length && names.every((name) => left[name] === right[name])
}
