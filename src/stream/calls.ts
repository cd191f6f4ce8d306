import { authorize } from '../access/authorize.ts'
import { isVergeError, VergeError } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import type { CallContext, Clock, Logger, RunCounter } from '../core/runtime.ts'
import type { Admission, Ticket } from '../serving/admission.ts'
import type { ResolvedModel, Serving } from '../serving/serving.ts'
import type { StreamOpening } from './opening.ts'

/** What a stream needs of the isolate that it wakes up in. */
export interface StreamDeps {
  readonly serving: Serving
  readonly admission: Admission
  readonly clock: Clock
  readonly logger: Logger
  readonly limits: Limits
  readonly runs: RunCounter
}

/** How often, and how long apart, an overloaded isolate is asked again before the stream is given up. */
const ADMISSION_TRIES = 20
const ADMISSION_PAUSE_MS = 100

/** The model, if the caller may still run it. @throws model_not_found, and what the catalogue throws */
export async function resolve(
  { serving }: StreamDeps,
  { model, version, caller }: StreamOpening,
  context: CallContext,
): Promise<ResolvedModel> {
  const alias = await serving.alias(model, context)
  if (alias === null || !authorize(caller, { name: alias.model, visibility: alias.visibility }, 'infer')) {
    throw new VergeError('model_not_found', `There is no model "${model}" that you may use any more.`)
  }
  return serving.resolve(alias, version, context)
}

/** A place among the requests of this isolate: streams do not crowd them out. @throws overloaded */
export async function admitted({ admission, clock }: StreamDeps, { requestId, signal }: CallContext): Promise<Ticket> {
  for (let tries = 1; ; tries++) {
    try {
      return admission.enter(requestId)
    } catch (error) {
      if (!isVergeError(error, 'overloaded') || tries === ADMISSION_TRIES) throw error
      await clock.sleep(ADMISSION_PAUSE_MS, signal)
    }
  }
}

/** Does work with the deadline of a request. */
export async function withContext<T>(
  { clock, limits, runs }: StreamDeps,
  { requestId }: StreamOpening,
  waitUntil: CallContext['waitUntil'],
  work: (context: CallContext) => Promise<T>,
): Promise<T> {
  const controller = new AbortController()
  const callOff = clock.after(limits.requestDeadlineMs, () =>
    controller.abort(new VergeError('deadline_exceeded', 'The sound was not heard in time. Open the stream again.')),
  )
  try {
    return await work({ requestId, signal: controller.signal, runsBefore: runs.finished, waitUntil })
  } finally {
    callOff()
  }
}
