import { callerName } from '../access/authorize.ts'
import { type ErrorCode, VergeError } from '../core/errors.ts'
import type { AppDeps } from '../http/app-env.ts'
import type { Access } from '../http/model-access.ts'
import { STATUS } from '../http/status.ts'
import { isOriginFailure } from '../placement/failures.ts'
import type { ResolvedModel } from '../serving/serving.ts'

/**
 * Has an origin write a text where that is decided, by `POST /run/{model}`; undefined where this isolate is to. Other
 * tasks need nothing of the kind: their tensors alone are sent to an origin.
 * @param body as JSON has it: `{inputs, parameters}`
 * @throws what `Placement` throws, and what the origin finds wrong with the request
 */
export async function writtenElsewhere(
  { logger, placement }: Pick<AppDeps, 'logger' | 'placement'>,
  { caller, context }: Access,
  model: ResolvedModel,
  body: unknown,
): Promise<{ readonly answer: unknown } | undefined> {
  if (placement === undefined) return undefined
  const facts = { route: 'task', full: false } as const
  const way = await placement.route(model, facts, context)
  if (!way.forward) return undefined
  const request = {
    route: 'task',
    method: 'POST',
    path: `/run/${model.manifest.model}`,
    headers: new Headers({ 'content-type': 'application/json' }),
    body: new TextEncoder().encode(JSON.stringify(body)).slice(),
    caller: callerName(caller),
    wholeText: true,
  } as const
  try {
    const response = await placement.forward(model, facts, request, context)
    const answer: unknown = await response.json()
    if (response.ok) return { answer }
    throw failure(answer, response.status)
  } catch (error) {
    if (!way.fallback || !isOriginFailure(error)) throw error
    if (context.placement !== undefined) context.placement.originRefusal = 'origin-down'
    logger.warn('answered_here_instead', { requestId: context.requestId, model: model.manifest.model })
    return undefined
  }
}

/** What an origin found wrong with a request, in its own words: it is of our own kind, or it would not have been asked. */
function failure(answer: unknown, status: number): VergeError {
  const error = typeof answer === 'object' && answer !== null && 'error' in answer ? answer.error : undefined
  const { code, message } = (typeof error === 'object' && error !== null ? error : {}) as Record<string, unknown>
  if (typeof code === 'string' && Object.hasOwn(STATUS, code) && typeof message === 'string') {
    return new VergeError(code as ErrorCode, message)
  }
  return new VergeError('origin_failed', `The origin refused the request with status ${status}.`)
}
