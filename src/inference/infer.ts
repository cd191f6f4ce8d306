import type { Alias } from '../catalog/alias.ts'
import type { Manifest } from '../catalog/manifest.ts'
import type { ModelFile } from '../catalog/model-file.ts'
import { isVergeError, throwIfAborted } from '../core/errors.ts'
import { USAGE_HEADER } from '../core/headers.ts'
import type { Clock, Logger } from '../core/runtime.ts'
import type { WorkLane } from '../core/work.ts'
import type { LanguageModel } from '../generate/text-generator.ts'
import type { Metering } from '../metering/metering.ts'
import { isEdgeFailure, isOriginFailure } from '../placement/failures.ts'
import { bookUsage, readUsage, UsageReader, watched } from '../placement/origin-usage.ts'
import type {
  ForwardedAnswer,
  ForwardedRequest,
  ForwardRoute,
  Placement,
  Route,
  RouteFacts,
} from '../placement/placement.ts'
import type { Admission, Ticket } from '../serving/admission.ts'
import { chargedTokens, type RunLedger, type RunPermit } from '../serving/ledger.ts'
import type { Generation, Models, ResolvedModel, Runner, RunResult } from '../serving/serving.ts'
import type { Run, TaskModel } from '../tasks/task.ts'
import { type Access, resolveVersion, visibleModel } from './access.ts'
import type { CallContext } from './call.ts'
import { isAlike, MeteredRequest } from './metered.ts'
import { placedRoute } from './places.ts'

/** A model that the caller may run, and what runs it for this request. */
export interface AdmittedModel {
  readonly model: ResolvedModel
  readonly runner: Runner
}

/** An inference as HTTP, RPC or a stream asks for it. */
export interface Inference<A> {
  /** The model's name, where it is known before the body is read. */
  readonly name?: string
  /** The version asked for; undefined: one of those that are live. */
  readonly version?: string | undefined
  /** The version was chosen earlier, and is kept though it may no longer be live. */
  readonly settled?: boolean
  /** Part of a request that was counted when it began: a message of a stream. */
  readonly continued?: boolean
  readonly route: ForwardRoute
  /** Waits for a slot; left out: the request is refused where none is free. */
  readonly wait?: (slot: Slot) => Promise<void>
  /**
   * Reads the body before the model is resolved, where only the body names it.
   * @returns the model's name
   */
  readonly read?: (slot: Slot) => Promise<string>
  /** How the request is passed on to an origin as it is; undefined where it cannot be, and tensors alone can. */
  readonly forwarding?: (model: ResolvedModel) => Forwarding<A> | undefined
  /** Computes the answer here, as far as the runner does not have an origin run the model. */
  readonly work: (admitted: AdmittedModel, slot: Slot) => Promise<A>
}

/**
 * The order that every inference keeps: ask what the caller has left, find the model, ask whether the caller may run it,
 * take a slot, decide where the request is computed, pass it on if an origin is to answer, and only then do the work, which
 * reads the body. A run blocks
 * the event loop, so a queue would never be seen to fill if bodies were read first; and a caller who is refused has cost
 * nothing but its headers. Protocols that name the model in the body have it read first, in the slot, and nothing of it is
 * looked at but the name before the caller is known to have access.
 * @throws what each of these steps throws
 */
export async function infer<A>(deps: InferenceDeps, access: Access, inference: Inference<A>): Promise<A> {
  const { metering, placement, serving } = deps
  const { context } = access
  const { name, forwarding: forwardingOf, read, route, settled = false, version, wait, work } = inference
  const metered =
    metering === undefined ? undefined : await MeteredRequest.begin(metering, access, inference.continued === true)
  const slot = new Slot(deps.admission, context.requestId, metered?.finish)
  return slot.during(async () => {
    const known = name === undefined ? undefined : await allowedModel(access, name, metered)
    if (wait !== undefined) await wait(slot)
    // An origin may have room where there is none here.
    else if (placement !== undefined) slot.takeIfFree()
    else slot.take()
    throwIfAborted(context.signal)
    const named = await read?.(slot)
    const alias: Alias = known ?? (await allowedModel(access, named ?? '', metered))
    const asked = settled
      ? await serving.resolve(alias, version, context)
      : await resolveVersion(access, alias, version)
    const instead = settled || version !== undefined ? undefined : metered?.insteadOf(asked.manifest.model)
    const model = instead === undefined ? asked : await cheaperModel(access, asked, instead, metered)
    const forwarding = forwardingOf?.(model)
    const facts: RouteFacts = {
      route,
      full: !slot.held,
      failed: false,
      ...(forwarding === undefined && { tensorsAlone: true }),
    }
    const first = await placedRoute(placement, access, model, facts)
    const forward = (decision: Route | undefined) =>
      decision === undefined || forwarding === undefined
        ? undefined
        : forwardToOrigin(deps, access, { model, forwarding, slot, decision })
    const answer = await forward(first)
    if (answer !== undefined) return answer.value
    slot.take()
    try {
      return await work({ model, runner: first ?? serving }, slot)
    } catch (error) {
      if (placement === undefined || forwarding?.replayable !== true || !isEdgeFailure(error)) throw error
      // What the edge could not do is a new fact, by which an origin may be asked after all.
      const elsewhere = await forward(
        await placedRoute(placement, access, model, { ...facts, full: !slot.held, failed: true }),
      )
      if (elsewhere === undefined) throw error
      return elsewhere.value
    }
  })
}

/** A model that the caller may run, and that has room for the request by its own limits. */
async function allowedModel(access: Access, name: string, metered: MeteredRequest | undefined): Promise<Alias> {
  const alias = await visibleModel(access, name)
  const granted = metered?.forModel(alias.model)
  if (granted !== undefined) await granted
  return alias
}

/** What the caller's plan has answered instead, where the caller may run it and its answers have the same form. */
async function cheaperModel(
  access: Access,
  asked: ResolvedModel,
  name: string,
  metered: MeteredRequest | undefined,
): Promise<ResolvedModel> {
  try {
    const cheaper = await resolveVersion(access, await allowedModel(access, name, metered), undefined)
    if (isAlike(asked.manifest, cheaper.manifest)) return cheaper
  } catch (error) {
    if (!isVergeError(error)) throw error
    throwIfAborted(access.context.signal)
  }
  metered?.answeredBy(asked)
  return asked
}

/** What an inference needs from outside, whichever way it was asked for. */
export interface InferenceDeps {
  readonly serving: Models & Runner
  readonly admission: Admission
  readonly logger: Logger
  readonly clock: Clock
  /** Limits and counts requests. Absent where nothing is limited and nobody counts. */
  readonly metering?: Metering
  /** Absent where everything is computed here, as on an origin. */
  readonly placement?: Placement
}

/** A request's slot among those that are computed here: taken, given up for an origin, taken again, kept for a stream. */
export class Slot {
  readonly #admission: Admission
  readonly #requestId: string
  readonly #finish: ((failure?: unknown) => void) | undefined
  #ticket: Ticket | undefined
  #kept = false
  #bytes = 0

  /** @param finish is told when the request is answered, or why it is not */
  constructor(admission: Admission, requestId: string, finish?: (failure?: unknown) => void) {
    this.#admission = admission
    this.#requestId = requestId
    this.#finish = finish
  }

  /** Whether somebody is told of the request's end. */
  get watched(): boolean {
    return this.#finish !== undefined
  }

  get held(): boolean {
    return this.#ticket !== undefined
  }

  /** Takes a slot unless the request has one. @throws overloaded */
  take(): void {
    if (this.#ticket !== undefined) return
    this.#ticket = this.#admission.enter(this.#requestId)
    // A body that was read before the slot was given up is held still.
    if (this.#bytes > 0) this.#ticket.hold(this.#bytes)
  }

  /** Takes a slot if one is free. */
  takeIfFree(): void {
    try {
      this.take()
    } catch (error) {
      if (!isVergeError(error, 'overloaded')) throw error
    }
  }

  /** Says how many bytes of body the request holds. @throws overloaded */
  readonly hold = (bytes: number): void => {
    this.#ticket?.hold(bytes)
    this.#bytes = bytes
  }

  /** Says how much of the body has come; `undefined`: all of it. @throws overloaded */
  readonly reading = (received: number | undefined): void => {
    this.#ticket?.reading(received)
  }

  /** Says that the request is still at work. */
  renew(): void {
    this.#ticket?.renew()
  }

  /**
   * For a handler that goes on after it has answered, as one does that streams: it calls `renew` with each piece, and
   * `done` at the end.
   */
  keep(): void {
    this.#kept = true
  }

  leave(): void {
    this.#ticket?.leave()
    this.#ticket = undefined
  }

  /** The request has been answered. */
  done(): void {
    this.leave()
    this.#finish?.()
  }

  /** Does work that ends with an answer, and is done then unless the work keeps the slot. */
  async during<A>(work: () => Promise<A>): Promise<A> {
    try {
      const answer = await work()
      if (!this.#kept) this.done()
      return answer
    } catch (error) {
      this.leave()
      this.#finish?.(error)
      throw error
    }
  }
}

/** How a request is passed on to an origin. */
export interface Forwarding<A> {
  /** The body is at hand, so that it can be passed on after the edge has failed. */
  readonly replayable: boolean
  /**
   * The request as an origin gets it.
   * @param ticket among the requests that are passed on; says how much of the body is held
   */
  request(ticket: Ticket): Promise<ForwardedRequest>
  /** Makes the request ready to be answered here, after an origin has failed; false if its body is gone. */
  recover(): boolean
  /** The answer, from the origin's. @throws what the origin found wrong with the request */
  answer(answered: ForwardedAnswer): A | Promise<A>
}

interface ForwardOptions<A> {
  readonly model: ResolvedModel
  readonly forwarding: Forwarding<A>
  readonly slot: Slot
  readonly decision: Route
}

/**
 * Has an origin answer where that is decided; undefined where this isolate is to, because no origin is meant or because
 * it failed and the edge can answer instead.
 * @throws what `Placement` throws, and what reading a body throws
 */
async function forwardToOrigin<A>(
  { clock, logger, placement }: InferenceDeps,
  { context }: Access,
  { model, forwarding, slot, decision }: ForwardOptions<A>,
): Promise<{ readonly value: A } | undefined> {
  if (placement === undefined || !decision.forward) return undefined
  slot.leave()
  let ticket: Ticket | undefined
  const { permit } = context.ledger ?? {}
  if (permit !== undefined) await assertSomethingLeft(permit, model.manifest)
  try {
    ticket = placement.admission.enter(context.requestId)
    const request = await forwarding.request(ticket)
    const begun = clock.now()
    const answered = await decision.send(request, context)
    const { ledger } = context
    const told = ledger && booked(answered, { ledger, ms: () => clock.now() - begun, slot })
    const value = await forwarding.answer(told?.answered ?? answered)
    told?.handOver()
    return { value }
  } catch (error) {
    if (!decision.fallback || !isOriginFailure(error) || !forwarding.recover()) throw error
    decision.giveUpOrigins()
    logger.warn('answered_here_instead', { requestId: context.requestId, model: model.manifest.model })
    return undefined
  } finally {
    ticket?.leave()
  }
}

/**
 * Refuses what an origin is to answer where nothing is left: what it takes is known when it has answered. What is taken
 * here is settled when the request ends.
 * @throws budget_spent, limits_unavailable
 */
async function assertSomethingLeft(permit: RunPermit, { task, text }: Manifest): Promise<void> {
  const units = permit.spend(1)
  if (units !== undefined) await units
  const reads = text !== undefined || task === 'text-generation'
  const tokens = reads ? permit.tokens(1, 0) : undefined
  if (tokens !== undefined) await tokens
}

interface BookedAnswer {
  readonly answered: ForwardedAnswer
  /**
   * The answer is its caller's: the request ends with it. Until then it may turn out to be of no use, and the request goes
   * on elsewhere.
   */
  handOver(): void
}

/** An origin's answer, with what it took booked: as it says in a header, else as the answer says on its way through. */
function booked(
  answered: ForwardedAnswer,
  { ledger, ms, slot }: { readonly ledger: RunLedger; readonly ms: () => number; readonly slot: Slot },
): BookedAnswer {
  const { response, usdPerHour } = answered
  const told = readUsage(response.headers.get(USAGE_HEADER))
  response.headers.delete(USAGE_HEADER)
  const { body } = response
  // Only for those who are counted is anything read on the way.
  if (told !== undefined || body === null || !response.ok || !slot.watched) {
    bookUsage(ledger, told, { ms: ms(), usdPerHour })
    return { answered, handOver() {} }
  }
  const reader = new UsageReader()
  const streamed = response.headers.get('content-type')?.startsWith('text/event-stream') ?? false
  let [ended, handedOver] = [false, false]
  const passed = watched(body, reader, () => {
    bookUsage(ledger, reader.usage(streamed), { ms: ms(), usdPerHour })
    ended = true
    if (handedOver) slot.done()
  })
  return {
    answered: { ...answered, response: new Response(passed, response) },
    handOver() {
      handedOver = true
      if (!ended) slot.keep()
    },
  }
}

/**
 * Reads a body in the request's slot. Where all slots are taken, it is read among the requests that are passed on,
 * because only the body says whether this is such a request.
 */
export async function readInSlot<T>(
  { placement }: InferenceDeps,
  requestId: string,
  slot: Slot,
  read: (held: Pick<Ticket, 'hold' | 'reading'>) => Promise<T>,
): Promise<T> {
  if (slot.held) return read(slot)
  const forwardTicket = placement?.admission.enter(requestId)
  const hold = (bytes: number): void => {
    forwardTicket?.hold(bytes)
    // For the case that a slot becomes free until it is answered here after all.
    slot.hold(bytes)
  }
  try {
    return await read({ hold, reading: (received) => forwardTicket?.reading(received) })
  } finally {
    forwardTicket?.leave()
  }
}

/** What reading a model's files and the slow parts of a request take. */
export interface RunnerDeps {
  readonly serving: Models
  readonly lane: WorkLane
  readonly randomId: () => string
}

/** What tasks and writers need to run a model for one request, with a memory of where it ran last. */
export class ModelRunner {
  readonly model: TaskModel & LanguageModel
  readonly #serving: Models
  readonly #admitted: AdmittedModel
  readonly #context: CallContext
  #last: RunResult | Generation | undefined

  constructor({ serving, lane, randomId }: RunnerDeps, admitted: AdmittedModel, context: CallContext) {
    const { model, runner } = admitted
    this.#serving = serving
    this.#admitted = admitted
    this.#context = context
    const writes: LanguageModel = {
      manifest: model.manifest,
      file: (file) => serving.file(model, file, context),
      checkCost: (runs) => runner.checkCost(model, runs, context),
      perform: (work, cost) => lane.perform(work, context.signal, cost),
      mostNewTokens: context.ledger?.bounds?.maxTokens,
      generate: async (prompt, options) => {
        const generation = await runner.generate(model, prompt, options, context)
        this.#last = generation
        return generation
      },
      randomId,
    }
    this.model = {
      ...writes,
      ...(runner.place && { place: runner.place }),
      language: { model: writes, signal: context.signal },
    }
  }

  /** Begins to read what the request is going to need: its model's weights, where they run here, and these files. */
  prefetch(files: readonly ModelFile[]): void {
    const { model, runner } = this.#admitted
    // The files are needed first, and a request has few connections.
    this.#serving.prefetchFiles(model, files, this.#context)
    runner.prefetch(model, this.#context)
  }

  /** Where the model ran last, or wrote a text; undefined before. */
  get lastRun(): RunResult | Generation | undefined {
    return this.#last
  }

  /** OpenAI's `system_fingerprint`: of the weights, where they are ours. */
  get fingerprint(): string | undefined {
    const artifact = this.#last?.artifact
    return artifact && `fp_${artifact.sha256.slice(0, 10)}`
  }

  readonly run: Run = async (inputs, outputs) => {
    const { model, runner } = this.#admitted
    const { ledger } = this.#context
    const result = await chargedTokens(ledger, inputs, () => runner.run(model, inputs, outputs, this.#context))
    this.#last = result
    return result.outputs
  }
}
