import * as z from 'zod'
import { type Caller, callerInLog, callerName } from '../access/authorize.ts'
import type { CallerContext } from '../access/credentials.ts'
import { stickyOf } from '../access/sticky.ts'
import { type Manifest, MODEL_NAME } from '../catalog/manifest.ts'
import type { VergeInputs, VergeOutcome, VergeReply } from '../client/rpc-types.ts'
import { paceOf } from '../core/body.ts'
import { isVergeError, VergeError } from '../core/errors.ts'
import { REQUEST_ID } from '../core/runtime.ts'
import { refuseManyItems, validate } from '../core/validation.ts'
import type { AppDeps } from '../http/app-env.ts'
import type { Access } from '../inference/access.ts'
import { type CallContext, withCall } from '../inference/call.ts'
import { chargedTokens } from '../inference/charged-tokens.ts'
import { infer } from '../inference/infer.ts'
import { assertBatch, bodyOverPlan } from '../inference/metered.ts'
import { type AdmittedModel, ModelRunner } from '../inference/model-runner.ts'
import { readInSlot } from '../inference/slot.ts'
import { attributesOf } from '../inference/span-attributes.ts'
import { inputsIn } from '../protocols/batch.ts'
import type { Ticket } from '../serving/admission.ts'
import { mostBodyBytes, openLedger, type RunLedger } from '../serving/ledger.ts'
import { createTasks } from '../tasks/index.ts'
import { type Tasks, taskOf } from '../tasks/task.ts'
import { failureOf, taskAnswer, tensorsAnswer } from './answer.ts'
import { callerOf } from './caller.ts'
import { ForwardedRpcCall } from './forwarding.ts'
import { areTensors, type RpcInputs, readInputs, sortInputs, taskBody, tensorInputs } from './inputs.ts'
import { measureInput } from './measure.ts'
import { recordRefused } from './refused-span.ts'
import { AnsweredError, type Ask, rpcGenerationRequest, type WritingPath, written } from './writing.ts'

export interface RpcDeps extends AppDeps {
  /** Names that a binding's `props.caller` may have. */
  readonly callers: ReadonlySet<string>
  /** The HTTP side, for protocols that are the same over a binding: a request by a caller who is known. */
  readonly ask: Ask
}

/** The platform's context of a call. */
export interface RpcCall {
  /** The binding's `props`: set at the caller's deployment; the caller's code cannot change them. */
  readonly props: unknown
  waitUntil(work: Promise<unknown>): void
}

const commonSchema = z.strictObject({
  // One that is longer than a credential may be is refused where credentials are.
  token: z.string().optional(),
  version: z.string().optional(),
  timeoutMs: z.number().int().positive().optional(),
  sticky: z
    .string()
    .regex(/^[\x21-\x7e]{1,128}$/, 'must have 1 to 128 visible characters of ASCII')
    .optional(),
  requestId: z.string().regex(REQUEST_ID).optional(),
  signal: z.instanceof(AbortSignal, { error: 'an AbortSignal is needed' }).optional(),
})
type CommonOptions = z.infer<typeof commonSchema>

const optionsSchema = commonSchema.extend({
  parameters: z.record(z.string(), z.unknown()).optional(),
  contentType: z.string().max(256).optional(),
  outputs: z.array(z.string()).optional(),
  cache: z.enum(['no-cache', 'no-store']).optional(),
})
type Options = z.infer<typeof optionsSchema>

/** How spans name a call. */
const RUN = 'VergeRpc/run'

/** Inputs that are here whole. */
type Read = Exclude<RpcInputs, { kind: 'unread' }>

const MODES = { 'no-cache': 'refresh', 'no-store': 'off' } as const

/** Inference for other Workers: the order, the limits and the failures of the HTTP side, without HTTP. */
export class RpcService {
  readonly #deps: RpcDeps
  readonly #tasks: Tasks

  constructor(deps: RpcDeps) {
    this.#deps = deps
    this.#tasks = createTasks(deps.limits)
  }

  /** Never throws: a failure is an outcome. */
  async run(call: RpcCall, model: string, inputs: VergeInputs, given: unknown): Promise<VergeOutcome<unknown>> {
    let requestId = this.#deps.randomId()
    const at = this.#deps.tracer?.now()
    let known = false
    try {
      const options = this.#options(optionsSchema, given)
      requestId = options.requestId ?? requestId
      assertName(model)
      const caller = await callerOf(call.props, options.token, this.#deps, contextOf(call, options))
      known = true
      const ledger = openLedger()
      const answer = await this.#within(call, { at, requestId, caller }, options, ledger, (context) =>
        this.#infer({ serving: this.#deps.serving, caller, context, via: 'rpc' }, model, inputs, options),
      )
      const { cache = null, cost, model: answered = null } = ledger
      this.#logAnswered({ requestId, model: answered, caller: callerInLog(caller), cache, cost })
      return { ok: true, answer, requestId, model: answered, cache, cost }
    } catch (thrown) {
      const error = failureOf(thrown, requestId)
      if (!known) await recordRefused(this.#deps.tracer, call, { ...error, name: RUN, at })
      this.#log(error.status, { requestId, model: nameOf(model), code: error.code, message: error.message }, thrown)
      return { ok: false, error }
    }
  }

  /**
   * A chat or a text by OpenAI's protocol, as HTTP answers it: the same order, places, origins and streams. Never throws.
   * @param request the body of `POST /v1/chat/completions` or `POST /v1/completions` without its model
   */
  async write(
    call: RpcCall,
    path: WritingPath,
    model: string,
    request: unknown,
    given: unknown,
  ): Promise<VergeReply<unknown>> {
    let requestId = this.#deps.randomId()
    const at = this.#deps.tracer?.now()
    try {
      const options = this.#options(commonSchema, given)
      requestId = options.requestId ?? requestId
      assertName(model)
      const caller = await callerOf(call.props, options.token, this.#deps, contextOf(call, options))
      const asked = rpcGenerationRequest(path, model, request, { ...options, requestId }, this.#deps.limits)
      return { ok: true, answer: await written(await this.#deps.ask(asked, caller, call)), requestId }
    } catch (thrown) {
      const error = failureOf(thrown, requestId)
      // What HTTP refused is in the log already, and in a trace.
      if (!(thrown instanceof AnsweredError)) {
        await recordRefused(this.#deps.tracer, call, { ...error, name: 'VergeRpc/write', at })
        this.#log(error.status, { requestId, model: nameOf(model), code: error.code, message: error.message }, thrown)
      }
      return { ok: false, error }
    }
  }

  /** @throws invalid_request */
  #options<T extends CommonOptions>(schema: z.ZodType<T>, given: unknown): T {
    const { requestItems, textBodyBytes } = this.#deps.limits
    const { signal, ...plain } = (typeof given === 'object' && given !== null ? given : {}) as CommonOptions
    measureInput(plain, { maxBytes: textBodyBytes, maxContainers: requestItems, views: false })
    refuseManyItems(plain, requestItems)
    return validate(schema, given ?? {}, 'The options')
  }

  #within<T>(
    call: RpcCall,
    { at, requestId, caller }: { readonly at: number | undefined; readonly requestId: string; readonly caller: Caller },
    options: Options,
    ledger: RunLedger,
    work: (context: CallContext) => Promise<T>,
  ): Promise<T> {
    const { deadlineMs } = this.#deps.config
    const { cache, signal, sticky: asked, timeoutMs = deadlineMs } = options
    if (timeoutMs < deadlineMs) ledger.paced = true
    return withCall(
      this.#deps,
      {
        requestId,
        timeoutMs: Math.min(deadlineMs, timeoutMs),
        ...(signal && { left: signal }),
        waitUntil: (background) => call.waitUntil(background),
        more: {
          cache: { mode: cache === undefined ? 'use' : MODES[cache], scope: callerName(caller) },
          ledger,
          // A binding brings no address: anonymous callers are told apart by what the call itself says.
          sticky: stickyOf(caller, { asked }),
          // A binding brings no place: the caller's Worker runs where this one does.
          placement: { hint: 'auto' },
        },
      },
      (context) => this.#traced(caller, at, { ...context, ledger }, work),
    )
  }

  /** A binding brings no trace of its own: calls are drawn. */
  #traced<T>(
    caller: Caller,
    began: number | undefined,
    context: CallContext & { readonly ledger: RunLedger },
    work: (context: CallContext) => Promise<T>,
  ): Promise<T> {
    const { tracer } = this.#deps
    if (tracer === undefined) return work(context)
    const attributes = { 'rpc.service': 'VergeRpc', 'rpc.method': 'run' }
    const at = began ?? tracer.now()
    const { ledger, waitUntil } = context
    return tracer.request({ name: RUN, attributes, at, trusted: false, waitUntil }, async (span) => {
      span?.part('authorize', { 'verge.caller': caller.kind }, at, tracer.now())
      try {
        return await work(context)
      } finally {
        span?.set(attributesOf(ledger))
      }
    })
  }

  /** The inputs are here already, and are held as a body is. */
  #infer(access: Access, name: string, inputs: VergeInputs, options: Options): Promise<unknown> {
    const { requestId } = access.context
    let read: Read = { kind: 'json', value: undefined, size: 0 }
    return infer<unknown>(this.#deps, access, {
      name,
      version: options.version,
      route: areTensors(inputs) ? 'oip' : 'task',
      read: async (slot) => {
        read = await readInSlot(this.#deps, requestId, slot, (held) => this.#read(inputs, held, access.context))
        return name
      },
      forwarding: ({ manifest }) => {
        // An origin writes texts. Of other tasks it is given tensors, where it is to run them.
        if (manifest.task !== 'text-generation' || read.kind === 'tensors') return undefined
        const { body } = this.#taskOf(manifest, read, options)
        return body.kind === 'json' ? new ForwardedRpcCall(manifest, body.value, access.caller) : undefined
      },
      work: (admitted) => this.#execute(access, admitted, read, options),
    })
  }

  async #read(
    inputs: VergeInputs,
    held: Pick<Ticket, 'hold' | 'reading'>,
    { ledger, signal }: CallContext,
  ): Promise<Read> {
    const bounds = ledger?.bounds
    const { limits } = this.#deps
    const most = mostBodyBytes(bounds, limits.requestBodyBytes)
    const sorted = sortInputs(inputs, limits)
    if (sorted.kind === 'unread') {
      const { hold, reading } = held
      return readInputs(sorted.unread, { hold, reading, signal, maxBytes: most, pace: paceOf(this.#deps) })
    }
    const size = sorted.kind === 'bytes' ? sorted.bytes.length : sorted.size
    if (size > most) throw bodyOverPlan(most)
    if (sorted.kind === 'json' && bounds?.batch !== undefined) assertBatch(bounds, inputsIn({ inputs: sorted.value }))
    held.hold(size)
    return sorted
  }

  /** @throws task_mismatch, unsupported_media_type */
  #taskOf({ model, task: name }: Manifest, read: Exclude<Read, { kind: 'tensors' }>, options: Options) {
    const task = taskOf(this.#tasks, name)
    if (task === undefined) {
      throw new VergeError(
        'task_mismatch',
        `Model "${model}" has no task. Give it tensors: run("${model}", {tensors: {...}}).`,
      )
    }
    const contentType = options.contentType ?? (read.kind === 'bytes' ? read.contentType : undefined)
    return { task, body: taskBody(read, task, { ...options, contentType }) }
  }

  async #execute({ context }: Access, admitted: AdmittedModel, read: Read, options: Options): Promise<unknown> {
    const { limits } = this.#deps
    const { model, runner } = admitted
    const { manifest } = model
    if (read.kind === 'tensors') {
      const { inputs, outputs } = tensorInputs(read.tensors, options.outputs, manifest, limits)
      const result = await chargedTokens(context.ledger, inputs, () => runner.run(model, inputs, outputs, context))
      return tensorsAnswer(manifest, result.outputs, limits.rpcAnswerBytes)
    }
    const { body, task } = this.#taskOf(manifest, read, options)
    const modelRunner = new ModelRunner(this.#deps, admitted, context)
    modelRunner.prefetch(task.files?.(manifest) ?? [])
    return taskAnswer(await task.execute(body, modelRunner.model, modelRunner.run), limits.rpcAnswerBytes)
  }

  /** As HTTP logs requests that succeed; `write` is logged there. */
  #logAnswered(fields: Readonly<Record<string, unknown>>): void {
    const { logger, requestLog } = this.#deps
    if (requestLog !== undefined && requestLog.random() < requestLog.sampleRate) logger.info('rpc_answered', fields)
  }

  #log(status: number, fields: Readonly<Record<string, unknown>>, thrown: unknown): void {
    const { logger } = this.#deps
    if (status < 500) logger.info('rpc_refused', fields)
    else {
      const cause = isVergeError(thrown) ? thrown.cause : thrown
      logger.error('rpc_failed', { ...fields, cause: cause instanceof Error ? (cause.stack ?? String(cause)) : cause })
    }
  }
}

function contextOf(call: RpcCall, { signal }: CommonOptions): CallerContext {
  return { signal, waitUntil: (work) => call.waitUntil(work) }
}

/** @throws invalid_request */
function assertName(model: unknown): void {
  if (typeof model !== 'string') throw new VergeError('invalid_request', 'The first argument must be a model name.')
}

/** Only valid model names are logged. */
function nameOf(model: unknown): string {
  return typeof model === 'string' && MODEL_NAME.test(model) ? model : '?'
}
