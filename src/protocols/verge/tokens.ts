import * as z from 'zod'

/** Minutes that a token lives where its request does not say. */
const MINUTES = 15
const MOST_MINUTES = 60
const MOST_ORIGINS = 8
const MOST_MODELS = 16

const count = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER)

/** `POST /v1/tokens`: what a page may do with the token. */
export const tokenRequestSchema = z
  .strictObject({
    origins: z
      .array(z.string().max(300))
      .min(1)
      .max(MOST_ORIGINS)
      .meta({
        description: 'Pages that may use the token, as browsers send them in `Origin`',
        examples: [['https://app.example.com']],
      }),
    models: z.array(z.string().max(64)).min(1).max(MOST_MODELS).meta({ description: 'Exact names of models' }),
    actions: z
      .array(z.enum(['infer', 'browser']))
      .min(1)
      .max(2)
      .default(['infer'])
      .meta({ description: '`infer`: run the models on the server; `browser`: download them into the browser' }),
    minutes: z.number().min(0.1).max(MOST_MINUTES).default(MINUTES).meta({ description: 'Until the token ends' }),
    budget: z
      .strictObject({
        requests: count.optional(),
        tokens: count.optional(),
        units: count.optional(),
        usd: z.number().nonnegative().max(1e9).optional(),
      })
      .optional()
      .meta({ description: 'What the token may use in its whole life. The budget of its key holds, too' }),
    rate: z.string().max(32).optional().meta({ description: 'Such as `10/1m`: ten requests in a minute' }),
    max_tokens: z
      .number()
      .int()
      .positive()
      .max(1e9)
      .optional()
      .meta({ description: 'Tokens that one request may have written' }),
  })
  .meta({ id: 'TokenRequest' })

export const tokenResponseSchema = z
  .object({
    token: z.string().meta({ description: 'For the page alone: `Authorization: Bearer <token>`' }),
    expires_at: z.iso.datetime(),
    origins: z.array(z.string()),
    models: z.array(z.string()),
    actions: z.array(z.string()),
  })
  .meta({ id: 'Token' })

export type TokenResponse = z.infer<typeof tokenResponseSchema>
