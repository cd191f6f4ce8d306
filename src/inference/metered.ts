import type { Manifest } from '../catalog/manifest.ts'
import { isVergeError, VergeError } from '../core/errors.ts'
import type { CallerFacts, Metering, Permit } from '../metering/metering.ts'
import { STATUS } from '../protocols/status.ts'
import { openLedger, type RequestBounds, type RunLedger } from '../serving/ledger.ts'
import type { Access } from './access.ts'

/** What is known of a request before anything of it is read. */
export interface RequestFacts extends CallerFacts {
  /** The body's length as its header says; undefined where it does not. */
  readonly bodyBytes?: number | undefined
}

/** A request that is limited and counted: admitted before anything of it is read, and ended once. */
export class MeteredRequest {
  readonly #permit: Permit
  readonly #ledger: RunLedger

  private constructor(permit: Permit, ledger: RunLedger) {
    this.#permit = permit
    this.#ledger = ledger
  }

  /**
   * @param continued the request is part of one that was counted already
   * @throws rate_limited, budget_spent, limits_unavailable; body_too_large by the caller's plan
   */
  static async begin(
    metering: Metering,
    { caller, context, facts = {} }: Access,
    continued: boolean,
  ): Promise<MeteredRequest> {
    const { bodyBytes: declared, ...known } = facts
    const permit = await metering.admit(caller, continued ? { ...known, continued } : known, context)
    const ledger = context.ledger ?? openLedger()
    const { batch, bodyBytes, maxTokens, whenLow } = permit.plan
    ledger.permit = permit
    ledger.bounds = { bodyBytes, batch, maxTokens, smallest: permit.low && whenLow?.artifact === 'smallest' }
    const request = new MeteredRequest(permit, ledger)
    if (declared !== undefined && bodyBytes !== undefined && declared > bodyBytes) {
      const error = bodyOverPlan(bodyBytes)
      request.finish(error)
      throw error
    }
    return request
  }

  /** The model's own limits. @throws rate_limited, limits_unavailable */
  forModel(model: string): Promise<void> | undefined {
    return this.#permit.forModel(model)
  }

  /** What is answered instead of a model because little is left of a budget; undefined where nothing is. */
  insteadOf(model: string): string | undefined {
    const models = this.#permit.low ? this.#permit.plan.whenLow?.models : undefined
    return models !== undefined && Object.hasOwn(models, model) ? models[model] : undefined
  }

  /** @param failure why there is no answer; undefined where there is one */
  readonly finish = (failure?: unknown): void => {
    const { cache, cachedTokens, inputTokens, model, originMs, originUnits, originUsd, outputTokens, units } =
      this.#ledger
    this.#permit.finish({
      ...(model !== undefined && { model }),
      status: failure === undefined ? STATUS_OK : statusOf(failure),
      inputTokens,
      cachedTokens,
      outputTokens,
      units,
      originUnits,
      originMs,
      originUsd,
      cached: cache === 'hit',
    })
  }
}

const STATUS_OK = 200

function statusOf(failure: unknown): number {
  return STATUS[isVergeError(failure) ? failure.code : 'internal']
}

export function bodyOverPlan(most: number): VergeError {
  return new VergeError('body_too_large', `Your plan allows bodies of up to ${most} bytes. Send a smaller request.`, {
    details: { limit_bytes: most, limit: 'plan' },
  })
}

/** @throws input_too_large for more inputs than the caller's plan allows in one request */
export function assertBatch(bounds: RequestBounds | undefined, inputs: number): void {
  const most = bounds?.batch
  if (most === undefined || inputs <= most) return
  throw new VergeError(
    'input_too_large',
    `Your plan allows ${most} inputs in one request, and this one has ${inputs}. Send them in several requests.`,
    { details: { inputs, limit_inputs: most, limit: 'plan' } },
  )
}

/** Whether two versions take the same requests and answer in the same form. */
export function isAlike(one: Manifest, other: Manifest): boolean {
  const signature = ({ inputs, outputs, task }: Manifest): string =>
    JSON.stringify([
      task,
      [inputs, outputs].map((specs) => specs.map(({ datatype, name, shape }) => [name, datatype, shape])),
    ])
  return signature(one) === signature(other)
}
