import { oipErrorBodySchema } from '../../protocols/oip/wire.ts'
import { embeddingsRequestSchema, embeddingsResponseSchema } from '../../protocols/openai/embeddings.ts'
import { openAiErrorBodySchema } from '../../protocols/openai/error.ts'
import { rerankRequestSchema, rerankResponseSchema, teiRerankRequestSchema } from '../../protocols/rerank.ts'
import { errorBodySchema } from '../../protocols/verge/error.ts'
import { rankingSchema } from '../../tasks/text-ranking.ts'
import { type JsonSchema, jsonAnswer, jsonBody, type SchemaSet } from './schemas.ts'

/** Paths that name their model in the body, and those of the Hugging Face inference API. */
export function embeddingPaths(schemas: SchemaSet): Record<string, JsonSchema> {
  const openAiFailure = jsonAnswer(schemas.use(openAiErrorBodySchema), 'A failure')
  const rerank = (operationId: string, failure: JsonSchema): JsonSchema => ({
    post: {
      operationId,
      tags: ['tasks'],
      summary: 'Rank texts by relevance to a query',
      requestBody: jsonBody({ anyOf: [schemas.use(rerankRequestSchema), schemas.use(teiRerankRequestSchema)] }),
      responses: {
        200: jsonAnswer(
          { anyOf: [schemas.use(rerankResponseSchema), schemas.use(rankingSchema)] },
          'The format of Cohere and Jina for `documents`, of text-embeddings-inference for `texts`',
        ),
        default: failure,
      },
    },
  })
  return {
    '/v1/embeddings': {
      post: {
        operationId: 'embeddings',
        tags: ['openai'],
        summary: 'Embeddings',
        requestBody: jsonBody(schemas.use(embeddingsRequestSchema)),
        responses: {
          200: jsonAnswer(schemas.use(embeddingsResponseSchema), 'A vector for each input'),
          default: openAiFailure,
        },
      },
    },
    '/rerank': rerank('rerank', jsonAnswer(schemas.use(errorBodySchema), 'A failure')),
    '/v1/rerank': rerank('rerank_v1', openAiFailure),
    ...huggingFacePaths(schemas),
  }
}

function huggingFacePaths(schemas: SchemaSet): Record<string, JsonSchema> {
  const parameter = (name: string): JsonSchema => ({ name, in: 'path', required: true, schema: { type: 'string' } })
  const operation = (operationId: string): JsonSchema => ({
    operationId,
    tags: ['tasks'],
    summary: 'Like /run/{model}, in the format of the Hugging Face inference API',
    requestBody: jsonBody({ type: 'object', required: ['inputs'] }),
    responses: {
      200: jsonAnswer({}, 'The answer of /run; for one text to classify, a list with one element'),
      default: jsonAnswer(schemas.use(oipErrorBodySchema), 'A failure'),
    },
  })
  return {
    '/models/{model}': { parameters: [parameter('model')], post: operation('hf_model') },
    '/models/{model}/pipeline/{task}': {
      parameters: [parameter('model'), parameter('task')],
      post: operation('hf_pipeline'),
    },
  }
}
