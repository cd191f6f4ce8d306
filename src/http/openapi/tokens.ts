import { errorBodySchema } from '../../protocols/verge/error.ts'
import { tokenRequestSchema, tokenResponseSchema } from '../../protocols/verge/tokens.ts'
import { type JsonSchema, jsonAnswer, jsonContent, type SchemaSet } from './schemas.ts'

/** Tokens for pages. */
export function tokenPaths(schemas: SchemaSet): Record<string, JsonSchema> {
  return {
    '/v1/tokens': {
      post: {
        operationId: 'mint_token',
        tags: ['service'],
        summary: 'Mints a token for a page, bound to its origin, to models and to minutes (keys that may mint)',
        requestBody: { required: true, content: jsonContent(schemas.use(tokenRequestSchema)) },
        responses: {
          200: jsonAnswer(schemas.use(tokenResponseSchema), 'The token'),
          default: jsonAnswer(schemas.use(errorBodySchema), 'A failure'),
        },
      },
    },
  }
}
