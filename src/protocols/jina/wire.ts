import * as z from 'zod'
import { encodingsSchema } from '../text-vectors.ts'
import { VECTOR_ENCODINGS } from '../vector-encoding.ts'

/** Requests and answers of Jina's API: https://api.jina.ai/openapi.json. */

/** What vectors are for; those of its models for code are named by a kind of search. */
export const JINA_TASKS = [
  'retrieval.query',
  'retrieval.passage',
  'text-matching',
  'classification',
  'separation',
  'nl2code.query',
  'nl2code.passage',
  'code2code.query',
  'code2code.passage',
  'code2nl.query',
  'code2nl.passage',
  'code2completion.query',
  'code2completion.passage',
  'qa.query',
  'qa.passage',
] as const
export type JinaTask = (typeof JINA_TASKS)[number]

const encoding = z.enum(VECTOR_ENCODINGS)
const encodings = z.union([encoding, encodingsSchema])
export type JinaEncodings = z.infer<typeof encodings>

const textSchema = z.strictObject({ text: z.string() })
const document = z.union([z.string(), textSchema, z.looseObject({ image: z.string() })])
export type JinaDocument = z.infer<typeof document>

const texts = z.union([document, z.array(document)]).meta({ description: 'A text, or a list of texts or `{text}`' })

export const jinaEmbeddingsRequestSchema = z
  .strictObject({
    model: z.string(),
    input: texts,
    task: z.enum(JINA_TASKS).optional(),
    prompt_name: z.string().optional(),
    dimensions: z.number().int().positive().optional(),
    normalized: z.boolean().optional(),
    late_chunking: z.boolean().optional(),
    truncate: z.boolean().optional(),
    embedding_type: encodings.optional(),
    encoding_format: z.enum(['float', 'base64']).optional(),
    return_multivector: z.boolean().optional(),
    user: z.string().optional().meta({ description: 'Accepted and ignored' }),
  })
  .meta({ id: 'JinaEmbeddingsRequest' })

export const jinaMultiVectorRequestSchema = z
  .strictObject({
    model: z.string(),
    input: texts,
    input_type: z.enum(['query', 'document']).optional(),
    embedding_type: encodings.optional(),
    dimensions: z.number().int().positive().optional(),
    truncate: z.boolean().optional(),
  })
  .meta({ id: 'JinaMultiVectorRequest' })

export const jinaRerankRequestSchema = z
  .strictObject({
    model: z.string(),
    query: document,
    documents: z.array(document),
    top_n: z.number().int().positive().optional(),
    return_documents: z.boolean().optional(),
    max_tokens_per_doc: z.number().int().positive().optional(),
    truncation: z.boolean().optional().meta({ description: 'False: a text that is too long is refused' }),
  })
  .meta({ id: 'JinaRerankRequest' })

export const jinaClassifyRequestSchema = z
  .strictObject({
    model: z.string(),
    input: z.array(document),
    labels: z.array(z.string()),
  })
  .meta({ id: 'JinaClassifyRequest' })
