import * as z from 'zod'
import { errorDetail } from '../protocols/error-detail.ts'

/**
 * What goes over the wire, declared once. The server validates and documents with the schemas; a client imports the
 * types alone.
 */

export const errorBodySchema = z
  .object({
    error: z
      .object({
        code: z.string().meta({ description: 'One of a small, stable vocabulary' }),
        message: z.string().meta({ description: 'What is wrong and what to do next' }),
        request_id: z.string(),
      })
      .catchall(errorDetail),
  })
  .meta({ id: 'Error' })
export type ErrorBody = z.infer<typeof errorBodySchema>

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
