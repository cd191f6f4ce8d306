import { type Context, Hono } from 'hono'
import { VergeError } from '../../core/errors.ts'
import { charsetOf, mediaTypeOf } from '../../core/media-types.ts'
import type { AdmittedModel } from '../../inference/infer.ts'
import { LanguageRunner } from '../../inference/language-runner.ts'
import { TaskRunner } from '../../inference/task-runner.ts'
import type { Ticket } from '../../serving/admission.ts'
import { type Tasks, taskOf } from '../../tasks/index.ts'
import { type BoundTask, RawAnswer, type TaskBody } from '../../tasks/task.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { paceOf, parseJson, readBody } from '../body.ts'
import { withAdmittedModel } from '../inference.ts'
import { withPlacementHeaders } from '../placement-headers.ts'
import { readMultipart } from './multipart.ts'
import { withQuery } from './query.ts'

/** Tasks under /run/{model}: what a person sends in, what a person reads out. */
export function runRoutes(deps: AppDeps, tasks: Tasks): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.post('/:model', (c) => {
    const request = { name: c.req.param('model'), version: c.req.query('version'), route: 'task' as const }
    return withAdmittedModel(deps, c, request, (admitted, slot) => runTask(deps, tasks, c, admitted, slot))
  })
  return app
}

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
      `Model "${manifest.model}" has no task that can be run here. Send it tensors: POST /v2/models/${manifest.model}/infer.`,
    )
  }
  const declared = mediaTypeOf(c.req.header('content-type'))
  const accepted = ['application/json', 'multipart/form-data', ...UNDECLARED, ...own.mediaTypes]
  if (!accepted.includes(declared)) {
    throw new VergeError(
      'unsupported_media_type',
      `The body was sent as "${declared.slice(0, 100)}". ${own.name} takes ${['application/json', 'multipart/form-data', ...own.mediaTypes].join(', ')}: say which in "Content-Type".`,
    )
  }
  const bytes = await readBody(c.req.raw, {
    maxBytes: limits.requestBodyBytes,
    signal: context.signal,
    hold: slot.hold,
    reading: slot.reading,
    pace: paceOf(deps),
  })
  const type = UNDECLARED.includes(declared) ? guessedType(bytes, own.mediaTypes) : declared
  const sent = await taskBody(type, bytes, c.req.header('content-type') ?? '')
  const chosen = dialect?.choose(own, sent) ?? { task: own, body: sent }
  const { task } = chosen
  const body = withQuery(chosen.body, c.req.queries(), task)
  const runner = new TaskRunner(deps, admitted, context)
  const language = new LanguageRunner(deps, admitted, context)
  const known = { ...runner.model, language: { model: language.model, signal: context.signal } }
  const answer = await task.execute(body, known, runner.run)
  const response =
    answer instanceof RawAnswer
      ? c.body(answer.bytes, 200, { 'content-type': answer.mediaType })
      : c.json(dialect === undefined ? answer : dialect.answer(answer, task, body))
  return withPlacementHeaders(withPlacementHeaders(response, runner), language)
}

/** No word on what the body is: none at all, or what `curl -d` says of everything. */
const UNDECLARED: readonly string[] = ['', 'application/x-www-form-urlencoded']

const OPENING_BRACE = 0x7b

/** JSON if it begins as an object does; else the raw form that the task takes. */
function guessedType(bytes: Uint8Array, mediaTypes: readonly string[]): string {
  const first = bytes.find((byte) => byte > 0x20)
  if (first === OPENING_BRACE) return 'application/json'
  return mediaTypes.includes('text/plain') ? 'text/plain' : 'application/octet-stream'
}

async function taskBody(type: string, bytes: Uint8Array<ArrayBuffer>, contentType: string): Promise<TaskBody> {
  if (type === 'application/json') return { kind: 'json', value: parseJson(bytes) }
  if (type === 'multipart/form-data') return readMultipart(bytes, contentType)
  const charset = charsetOf(contentType)
  return { kind: 'bytes', mediaType: type, bytes, ...(charset !== undefined && { charset }) }
}
