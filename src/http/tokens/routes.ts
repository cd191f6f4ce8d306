import { Hono } from 'hono'
import * as z from 'zod'
import { rateSchema } from '../../access/plan.ts'
import { paceOf, readBody } from '../../core/body.ts'
import { parseJson } from '../../core/json.ts'
import { validate } from '../../core/validation.ts'
import { minter, mintToken } from '../../inference/tokens.ts'
import { type TokenResponse, tokenRequestSchema } from '../../protocols/verge/tokens.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { accessOf } from '../inference.ts'
import { modelNamed } from '../model-names.ts'

const rateField = z.object({ rate: rateSchema.optional() })

/** `POST /v1/tokens`: a backend with a key asks for a token that it gives to its page. */
export function tokenRoutes(deps: AppDeps): Hono<AppEnv> {
  const { clock, config, limits, randomId } = deps
  const app = new Hono<AppEnv>()
  app.post('/', async (c) => {
    const access = accessOf(deps, c)
    minter(access)
    const { signal } = access.context
    const bytes = await readBody(c.req.raw, { maxBytes: limits.tokenRequestBytes, signal, pace: paceOf(deps) })
    const { budget, max_tokens, minutes, models, rate, ...rest } = validate(
      tokenRequestSchema,
      parseJson(bytes, limits),
      'The request',
    )
    validate(rateField, { rate }, 'The request')
    const asked = {
      ...rest,
      models: models.map((name) => modelNamed(name, config.modelNames)),
      seconds: Math.round(minutes * 60),
      limits: {
        ...(rate !== undefined && { rate }),
        ...(budget !== undefined && { budgets: { total: budget } }),
        ...(max_tokens !== undefined && { maxTokens: max_tokens }),
      },
    }
    const { claims, text } = await mintToken(access, asked, {
      key: config.tokenKey,
      now: clock.now(),
      id: randomId(),
      pages: [...config.corsOrigins, new URL(c.req.url).origin],
    })
    const answer: TokenResponse = {
      token: text,
      expires_at: new Date(claims.exp * 1000).toISOString(),
      origins: [...claims.origins],
      models: [...claims.models],
      actions: [...claims.actions],
    }
    return c.json(answer)
  })
  return app
}
