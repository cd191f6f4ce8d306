import type { Context } from 'hono'
import { paceOf, readBody } from '../core/body.ts'
import { VergeError } from '../core/errors.ts'
import { type AdmittedModel, ModelRunner } from '../inference/model-runner.ts'
import type { Ticket } from '../serving/admission.ts'
import { assertAccepted, taskBody, withQuery } from '../tasks/shared/request-body.ts'
import { type BoundTask, RawAnswer, type TaskBody, type Tasks, taskOf } from '../tasks/task.ts'
import type { AppDeps, AppEnv } from './app-env.ts'
import { bodyLimit, checkBatch, withPlacementHeaders } from './inference.ts'

/** How another protocol's paths differ from /run. */
export interface Dialect {
  /** The task to run instead of the model's own. @throws task_mismatch */
  choose(own: BoundTask, body: TaskBody): { readonly task: BoundTask; readonly body: TaskBody }
  /** What is answered as JSON, from what the task answers. */
  answer(answer: unknown, task: BoundTask, body: TaskBody): unknown
}

/** From request to answer, for a model that has been found and admitted. */
export async function runTask(
  deps: AppDeps,
  tasks: Tasks,
  c: Context<AppEnv>,
  admitted: AdmittedModel,
  slot: Pick<Ticket, 'hold' | 'reading'>,
  dialect?: Dialect,
): Promise<Response> {
  const { limits } = deps
  const { manifest } = admitted.model
  const context = c.get('context')
  const own = taskOf(tasks, manifest.task)
  if (own === undefined) {
    throw new VergeError(
      'task_mismatch',
      `Model "${manifest.model}" has no task for this route. Send tensors: POST /v2/models/${manifest.model}/infer.`,
    )
  }
  const contentType = c.req.header('content-type') ?? ''
  assertAccepted(contentType, own)
  const runner = new ModelRunner(deps, admitted, context)
  const bytes = await readBody(c.req.raw, {
    maxBytes: bodyLimit(c, limits.requestBodyBytes),
    signal: context.signal,
    accepted: () => runner.prefetch(own.files?.(manifest) ?? []),
    hold: slot.hold,
    reading: slot.reading,
    pace: paceOf(deps),
  })
  const sent = await taskBody(bytes, contentType, own, limits)
  if (sent.kind === 'json') checkBatch(c, sent.value)
  const chosen = dialect?.choose(own, sent) ?? { task: own, body: sent }
  const { task } = chosen
  const body = withQuery(chosen.body, c.req.queries(), task)
  const answer = await task.execute(body, runner.model, runner.run)
  const response =
    answer instanceof RawAnswer
      ? c.body(answer.bytes, 200, { 'content-type': answer.mediaType })
      : c.json(dialect === undefined ? answer : dialect.answer(answer, task, body))
  return withPlacementHeaders(response, runner)
}
