import { type Caller, callerName } from '../access/authorize.ts'
import type { Manifest } from '../catalog/manifest.ts'
import { type ErrorCode, VergeError } from '../core/errors.ts'
import type { Forwarding } from '../inference/forwarding.ts'
import type { ForwardedAnswer, ForwardedRequest } from '../placement/placement.ts'
import { failureFields } from '../protocols/failure-fields.ts'
import { STATUS } from '../protocols/status.ts'
import type { Ticket } from '../serving/admission.ts'

/** A text that an origin is asked to write by `POST /run/{model}`. */
export class ForwardedRpcCall implements Forwarding<unknown> {
  readonly replayable = true
  readonly #model: string
  readonly #body: unknown
  readonly #caller: Caller

  /** @param body as JSON has it: `{inputs, parameters}` */
  constructor({ model }: Manifest, body: unknown, caller: Caller) {
    this.#model = model
    this.#body = body
    this.#caller = caller
  }

  async request(ticket: Ticket): Promise<ForwardedRequest> {
    const body = new TextEncoder().encode(JSON.stringify(this.#body)).slice()
    ticket.hold(body.length)
    return {
      route: 'task',
      method: 'POST',
      path: `/run/${this.#model}`,
      headers: new Headers({ 'content-type': 'application/json' }),
      body,
      caller: callerName(this.#caller),
      wholeText: true,
    }
  }

  recover(): boolean {
    return true
  }

  async answer({ response }: ForwardedAnswer): Promise<unknown> {
    const answer: unknown = await response.json()
    if (response.ok) return answer
    throw failure(answer, response.status)
  }
}

/** An origin's error message about a request. Only origins of kind "verge" get these requests. */
function failure(answer: unknown, status: number): VergeError {
  const { code, message } = failureFields(answer) ?? {}
  if (typeof code === 'string' && Object.hasOwn(STATUS, code) && typeof message === 'string') {
    return new VergeError(code as ErrorCode, message)
  }
  return new VergeError('origin_failed', `The origin refused the request with status ${status}.`)
}
