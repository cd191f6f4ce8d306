import type { Caller } from '../access/authorize.ts'
import type { Credentials } from '../access/credentials.ts'
import { isVergeError, VergeError } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import type { RunCounter } from '../core/runtime.ts'
import type { RequestTracer } from '../core/tracing.ts'
import { type CallContext, withCall } from '../inference/call.ts'
import { type InferenceDeps, infer } from '../inference/infer.ts'
import type { AdmittedModel } from '../inference/model-runner.ts'
import type { Slot } from '../inference/slot.ts'
import { attributesOf } from '../inference/span-attributes.ts'
import { openLedger, type RunLedger } from '../serving/ledger.ts'
import type { StreamOptions } from './stream-options.ts'

/** Dependencies of a stream in the isolate where it wakes up. */
export interface StreamDeps extends InferenceDeps {
  /** Absent where nobody has a grant: callers stay who they were. */
  readonly credentials?: Credentials
  readonly limits: Limits
  readonly runs: RunCounter
  /** Records traces. Absent where none are configured. */
  readonly tracer?: RequestTracer | undefined
}

/** How often, and how long apart, an overloaded isolate is asked again before the stream is given up. */
const ADMISSION_TRIES = 20
const ADMISSION_PAUSE_MS = 100

/**
 * Does what one message of a stream asks for, with the deadline and in the order of a request. Access is asked for each
 * time: the caller's key may have been revoked since the stream was opened, and the model may have become private, or be gone.
 */
export function answerMessage(
  deps: StreamDeps,
  options: StreamOptions,
  waitUntil: CallContext['waitUntil'],
  work: (admitted: AdmittedModel, context: CallContext) => Promise<void>,
): Promise<void> {
  const { caller, facts, model, requestId, version } = options
  const late = new VergeError('deadline_exceeded', 'The audio was not processed in time. Open the stream again.')
  const timeoutMs = deps.limits.requestDeadlineMs
  const more = { ledger: openLedger() }
  return withCall(deps, { requestId, timeoutMs, late, more, waitUntil }, (context) =>
    recorded(deps.tracer, options, { ...context, ...more }, async (authorized) => {
      const current = (await deps.credentials?.stillCaller(caller, context)) ?? caller
      authorized(current)
      return infer<void>(
        deps,
        { serving: deps.serving, caller: current, context, via: 'stream', ...(facts && { facts }) },
        {
          name: model,
          version,
          settled: true,
          continued: true,
          route: 'task',
          wait: (slot) => admitted(deps, slot, context.signal),
          work: (found) => work(found, context),
        },
      )
    }),
  )
}

/** How spans name a message. */
const MESSAGE = 'message /stream/:model'

/**
 * Each message has a trace of its own, with a link to that of the opening: a stream may have thousands. The wish of a trusted
 * caller counts for them as for requests, and within the same bound.
 */
function recorded(
  tracer: RequestTracer | undefined,
  { trace }: StreamOptions,
  { ledger, waitUntil }: CallContext & { readonly ledger: RunLedger },
  work: (authorized: (caller: Caller) => void) => Promise<void>,
): Promise<void> {
  if (tracer === undefined) return work(() => {})
  const at = tracer.now()
  const { parent, trusted = false } = trace ?? {}
  return tracer.request(
    { name: MESSAGE, attributes: {}, at, trusted, apart: true, parent, waitUntil },
    async (span) => {
      try {
        await work(({ kind }) => span?.part('authorize', { 'verge.caller': kind }, at, tracer.now()))
      } finally {
        span?.set(attributesOf(ledger))
      }
    },
  )
}

/** Streams do not crowd the other requests of this isolate out: they wait. @throws overloaded */
async function admitted({ clock }: StreamDeps, slot: Slot, signal: AbortSignal): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      slot.take()
      return
    } catch (error) {
      if (!isVergeError(error, 'overloaded') || tries === ADMISSION_TRIES) throw error
      await clock.sleep(ADMISSION_PAUSE_MS, signal)
    }
  }
}
