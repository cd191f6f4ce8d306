import { Hono } from 'hono'
import { completionFields } from '../../protocols/huggingface/completion-fields.ts'
import type { Tasks } from '../../tasks/task.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { withAdmittedModel } from '../inference.ts'
import { createChat } from '../openai/chat.ts'
import { createCompletion } from '../openai/completions.ts'
import { runTask } from '../task-request.ts'
import { huggingFace, refuseLater } from './dialect.ts'

/** Paths as the Hugging Face inference API has had them, old and new. */
const PATHS = [
  '/models/:model',
  '/models/:model/pipeline/:task',
  '/hf-inference/models/:model',
  '/hf-inference/models/:model/pipeline/:task',
  '/pipeline/:task/:model',
] as const

/**
 * The tasks of `/run`, where Hugging Face's clients look for them and in exactly the shapes that they take. Chats and texts
 * are asked for in OpenAI's words behind the model's address, where the model's name in the body is not looked at: the
 * client writes the address there.
 */
export function hfRoutes(deps: AppDeps, tasks: Tasks): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  for (const path of PATHS) {
    app.post(path, (c) => {
      refuseLater(c.req.param('task'))
      const request = { name: c.req.param('model') ?? '', version: c.req.query('version'), route: 'task' as const }
      const dialect = huggingFace(tasks, c.req.param('task'))
      return withAdmittedModel(deps, c, request, (admitted, slot) => runTask(deps, tasks, c, admitted, slot, dialect))
    })
  }
  for (const base of ['/models/:model', '/hf-inference/models/:model'] as const) {
    app.post(`${base}/v1/chat/completions`, (c) =>
      createChat(deps, c, { model: c.req.param('model'), path: '/v1/chat/completions' }),
    )
    app.post(`${base}/v1/completions`, (c) =>
      createCompletion(deps, c, {
        model: c.req.param('model'),
        path: '/v1/completions',
        translate: completionFields,
      }),
    )
  }
  return app
}
