import { Hono } from 'hono'
import type { Tasks } from '../../tasks/task.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { withAdmittedModel } from '../inference.ts'
import { runTask } from '../task-request.ts'

/** Tasks under /run/{model}: what a person sends in, what a person reads out. */
export function runRoutes(deps: AppDeps, tasks: Tasks): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.post('/:model', (c) => {
    const request = { name: c.req.param('model'), version: c.req.query('version'), route: 'task' as const }
    return withAdmittedModel(deps, c, request, (admitted, slot) => runTask(deps, tasks, c, admitted, slot))
  })
  return app
}
