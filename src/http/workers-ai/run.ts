import type { Context } from 'hono'
import type { Manifest } from '../../catalog/manifest.ts'
import { paceOf, readBody } from '../../core/body.ts'
import { VergeError } from '../../core/errors.ts'
import { infer } from '../../inference/infer.ts'
import { ModelRunner } from '../../inference/model-runner.ts'
import { readInSlot } from '../../inference/slot.ts'
import { wrapped } from '../../protocols/workers-ai/envelope.ts'
import { assertAccepted, taskBody } from '../../tasks/shared/request-body.ts'
import { type BoundTask, RawAnswer, type Tasks, taskOf } from '../../tasks/task.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { refusedByOrigin } from '../generation/origin-answer.ts'
import { accessOf, bodyLimit, checkBatch, ForwardedHttpRequest, withPlacementHeaders } from '../inference.ts'
import { aboutTheirField } from './fields.ts'
import { routeFor, type Translation, translated } from './translate.ts'

interface RunOptions {
  /** Verge's name of the model. */
  readonly name: string
  /** The model's, as it was found. */
  readonly manifest: Manifest
}

/** `POST ai/run/{model}` for all models but those that write texts: JSON, or the bytes of a file. */
export function runModel(
  deps: AppDeps,
  tasks: Tasks,
  c: Context<AppEnv>,
  { manifest: found, name }: RunOptions,
): Promise<Response> {
  const { limits } = deps
  const contentType = c.req.header('content-type') ?? ''
  const expected = ownTask(tasks, found)
  assertAccepted(contentType, expected)
  let sent: Uint8Array<ArrayBuffer> = new Uint8Array()
  let known: Translation | undefined
  const read = async (manifest: Manifest): Promise<Translation> => {
    if (known !== undefined) return known
    const own = ownTask(tasks, manifest)
    const body = await taskBody(sent, contentType, own, limits)
    if (body.kind === 'json') checkBatch(c, body.value)
    known =
      body.kind === 'json'
        ? translated(body.value, own, manifest, { tasks, limits })
        : { task: own, body, result: (answer) => answer }
    return known
  }
  const takesFiles = expected.mediaTypes.includes('application/octet-stream')
  const maxBytes = takesFiles ? limits.requestBodyBytes : limits.textBodyBytes
  const { requestId, signal } = c.get('context')
  return infer<Response>(deps, accessOf(deps, c), {
    name,
    version: c.req.query('version'),
    route: routeFor(found),
    read: async (slot) => {
      sent = await readInSlot(deps, requestId, slot, ({ hold, reading }) =>
        readBody(c.req.raw, { maxBytes: bodyLimit(c, maxBytes), signal, pace: paceOf(deps), hold, reading }),
      )
      known = await read(found)
      return name
    },
    forwarding: ({ manifest }) => (known === undefined ? undefined : forwarded(deps, c, manifest, known)),
    work: async (admitted) => {
      const { manifest } = admitted.model
      const { body, fields = [], result, task } = await read(manifest)
      const runner = new ModelRunner(deps, admitted, c.get('context'))
      runner.prefetch(task.files?.(manifest) ?? [])
      const answer = await task.execute(body, runner.model, runner.run).catch((error: unknown) => {
        throw aboutTheirField(error, fields)
      })
      const response =
        answer instanceof RawAnswer
          ? c.body(answer.bytes, 200, { 'content-type': answer.mediaType })
          : c.json(wrapped(result(answer)))
      return withPlacementHeaders(response, runner)
    },
  })
}

function ownTask(tasks: Tasks, { model, task }: Manifest): BoundTask {
  const own = taskOf(tasks, task)
  if (own !== undefined) return own
  throw new VergeError(
    'task_mismatch',
    `Model "${model}" has no task for this route. Send tensors: POST /v2/models/${model}/infer.`,
  )
}

/** The request to an origin in words that it knows; undefined where it can be given tensors alone. */
function forwarded(deps: AppDeps, c: Context<AppEnv>, manifest: Manifest, { asked, result }: Translation) {
  if (asked === undefined || deps.placement === undefined) return undefined
  const { body, path, route } = asked
  const isFile = body instanceof Uint8Array
  return new ForwardedHttpRequest(deps, c, {
    manifest,
    route,
    path,
    bytes: isFile ? body.slice() : new TextEncoder().encode(JSON.stringify(body)).slice(),
    contentType: isFile ? 'application/octet-stream' : 'application/json',
    translate: async (response) => {
      if (!response.ok) return refusedByOrigin(response)
      const type = response.headers.get('content-type') ?? ''
      return type.startsWith('application/json') ? c.json(wrapped(result(await response.json()))) : response
    },
  })
}
