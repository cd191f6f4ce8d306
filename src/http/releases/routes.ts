import { type Context, Hono } from 'hono'
import { type Action, authorize } from '../../access/authorize.ts'
import type { Alias } from '../../catalog/alias.ts'
import type { Canary } from '../../catalog/canary.ts'
import { paceOf, readBody } from '../../core/body.ts'
import { isVergeError, throwIfAborted, VergeError } from '../../core/errors.ts'
import { parseJson } from '../../core/json.ts'
import { validate } from '../../core/validation.ts'
import { refusedCredential, resourceOf, seenModel } from '../../inference/access.ts'
import { type ProbesAnswer, probesSchema } from '../../protocols/verge/releases.ts'
import type { CanaryReader } from '../../releases/watch/reader.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { accessOf } from '../inference.ts'
import { modelNamed } from '../model-names.ts'
import { probedCounts, releaseBody } from './body.ts'

/** What is known of a model's release and of its canary. */
export function releasesRoutes(deps: AppDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  const { limits, logger } = deps
  app.get('/:model', async (c) => {
    const alias = await allowed(deps, c, 'metrics')
    const { signal } = c.get('context')
    try {
      return c.json(releaseBody(alias, await deps.canaries?.state(alias.model, signal)))
    } catch (error) {
      throwIfAborted(signal)
      if (!isVergeError(error, 'store_unavailable')) throw error
      // The release itself is known all the same.
      logger.warn('canary_watch_unreachable', { model: alias.model, error })
      return c.json(releaseBody(alias, 'unreachable'))
    }
  })
  app.post('/:model/probes', async (c) => {
    const alias = await allowed(deps, c, 'admin')
    const { canary, reader } = watched(deps, alias)
    const { signal } = c.get('context')
    const bytes = await readBody(c.req.raw, { maxBytes: limits.probesBytes, signal, pace: paceOf(deps) })
    const { generation, pairs, seq, source } = validate(probesSchema, parseJson(bytes, limits), 'The request')
    if (pairs.length > limits.probePairs) {
      throw new VergeError('input_too_large', `Send at most ${limits.probePairs} pairs in one request.`, {
        details: { field: 'pairs', limit_inputs: limits.probePairs },
      })
    }
    if (generation !== alias.generation) return c.json<ProbesAnswer>({ verdict: 'outdated' })
    const counts = probedCounts(canary, pairs)
    const digest = alias.versions[canary.version]
    const report = { source: `probe:${source}`, seq, generation, canary, digest, counts }
    const { verdict } = await reader.report(alias.model, report, signal)
    return c.json<ProbesAnswer>({ verdict })
  })
  return app
}

/** @throws not_implemented, conflict */
function watched({ canaries }: AppDeps, { canary, model }: Alias): { canary: Canary; reader: CanaryReader } {
  if (canaries === undefined) {
    throw new VergeError(
      'not_implemented',
      'This server watches no canaries. Bind the Durable Object CANARIES (docs/canary.md).',
    )
  }
  if (canary !== undefined) return { canary, reader: canaries }
  throw new VergeError('conflict', `Model "${model}" has no canary. Release one with "verge release ${model}".`, {
    details: { model },
  })
}

/** @throws unauthorized, forbidden, and what finding a model throws */
async function allowed(deps: AppDeps, c: Context<AppEnv>, action: Action): Promise<Alias> {
  const access = accessOf(deps, c)
  const { caller } = access
  const who = `only the operator${action === 'metrics' ? ', and keys that allow "metrics",' : ''} may do this`
  if (caller.kind === 'anonymous') {
    throw refusedCredential(caller, who) ?? new VergeError('unauthorized', `Send a key: ${who}.`)
  }
  const alias = await seenModel(access, modelNamed(c.req.param('model') ?? '', deps.config.modelNames))
  if (authorize(caller, resourceOf(alias), action)) return alias
  throw new VergeError('forbidden', `Send another key: ${who}.`, { details: { model: alias.model, action } })
}
