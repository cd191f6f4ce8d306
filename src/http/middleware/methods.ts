import type { Hono } from 'hono'
import { VergeError } from '../../core/errors.ts'
import type { AppEnv } from '../app-env.ts'

/** Hono's name for a handler of every method, which middleware are. */
const ALL = 'ALL'

/**
 * Answers, for every path that has routes, the methods that have none: OPTIONS with what there is, the rest with 405.
 * To be called when all routes are registered. HEAD needs no route: Hono answers it from GET's.
 */
export function refuseOtherMethods(app: Hono<AppEnv>): void {
  const methods = new Map<string, Set<string>>()
  for (const { path, method } of app.routes) {
    if (method === ALL) continue
    const known = methods.get(path) ?? new Set()
    known.add(method)
    if (method === 'GET') known.add('HEAD')
    methods.set(path, known)
  }
  for (const [path, known] of methods) {
    const allow = [...known, 'OPTIONS'].sort()
    app.all(path, (c) => {
      if (c.req.method === 'OPTIONS') return c.body(null, 204, { allow: allow.join(', ') })
      throw new VergeError('method_not_allowed', `${c.req.method} is not allowed. Use ${allow.join(', ')}.`, {
        details: { allow },
      })
    })
  }
}
