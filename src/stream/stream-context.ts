import type { Credentials } from '../access/credentials.ts'
import { isVergeError, VergeError } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import type { RunCounter } from '../core/runtime.ts'
import { type CallContext, withCall } from '../inference/call.ts'
import { type InferenceDeps, infer } from '../inference/infer.ts'
import type { AdmittedModel } from '../inference/model-runner.ts'
import type { Slot } from '../inference/slot.ts'
import { openLedger } from '../serving/ledger.ts'
import type { StreamOptions } from './stream-options.ts'

/** Dependencies of a stream in the isolate where it wakes up. */
export interface StreamDeps extends InferenceDeps {
  /** Absent where nobody has a grant: callers stay who they were. */
  readonly credentials?: Credentials
  readonly limits: Limits
  readonly runs: RunCounter
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
  { caller, facts, model, requestId, version }: StreamOptions,
  waitUntil: CallContext['waitUntil'],
  work: (admitted: AdmittedModel, context: CallContext) => Promise<void>,
): Promise<void> {
  const late = new VergeError('deadline_exceeded', 'The audio was not processed in time. Open the stream again.')
  const timeoutMs = deps.limits.requestDeadlineMs
  const more = { ledger: openLedger() }
  return withCall(deps, { requestId, timeoutMs, late, more, waitUntil }, async (context) => {
    const current = (await deps.credentials?.stillCaller(caller, context)) ?? caller
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
  })
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
