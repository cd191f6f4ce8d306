import * as z from 'zod'

/**
 * What goes over the wire, declared once. The server validates and documents with the schemas; a client imports the
 * types alone.
 */

const detail = z.union([z.string(), z.number(), z.boolean(), z.null(), z.array(z.union([z.string(), z.number()]))])

export const errorBodySchema = z
  .object({
    error: z
      .object({
        code: z.string().meta({ description: 'One of a small, stable vocabulary' }),
        message: z.string().meta({ description: 'What is wrong and what to do next' }),
        request_id: z.string(),
      })
      .catchall(detail),
  })
  .meta({ id: 'Error' })
export type ErrorBody = z.infer<typeof errorBodySchema>

export const oipErrorBodySchema = z
  .object({ error: z.string(), code: z.string(), request_id: z.string() })
  .catchall(detail)
  .meta({ id: 'InferenceError' })
export type OipErrorBody = z.infer<typeof oipErrorBodySchema>

export const openAiErrorBodySchema = z
  .object({
    error: z
      .object({
        message: z.string(),
        type: z.string(),
        param: z.string().nullable(),
        code: z.string(),
        request_id: z.string(),
      })
      .catchall(detail),
  })
  .meta({ id: 'OpenAIError' })
export type OpenAiErrorBody = z.infer<typeof openAiErrorBodySchema>

export const openAiModelSchema = z
  .object({
    id: z.string(),
    object: z.literal('model'),
    created: z.number().int().meta({
      description: 'When the newest live version was pushed, in seconds since 1970; 0 if that was not recorded',
    }),
    owned_by: z.string(),
  })
  .meta({ id: 'Model' })
export type OpenAiModel = z.infer<typeof openAiModelSchema>

export const openAiModelListSchema = z
  .object({ object: z.literal('list'), data: z.array(openAiModelSchema) })
  .meta({ id: 'ModelList' })
export type OpenAiModelList = z.infer<typeof openAiModelListSchema>

export const healthSchema = z
  .object({
    status: z.enum(['ok', 'unavailable']),
    engine: z.string(),
    version: z.string(),
    detail: z.string().optional(),
    heap_bytes: z.number().int().optional(),
    heap_limit_bytes: z.number().int().optional(),
    recoveries: z.number().int().optional(),
  })
  .meta({ id: 'Health' })
export type HealthBody = z.infer<typeof healthSchema>

export const indexSchema = z
  .object({ name: z.string(), version: z.string(), links: z.record(z.string(), z.string()) })
  .meta({ id: 'Index' })
export type IndexBody = z.infer<typeof indexSchema>
