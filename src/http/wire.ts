import * as z from 'zod'

/**
 * What goes over the wire, declared once. The server validates and documents with the schemas; a client imports the
 * types alone.
 */

export const healthSchema = z
  .object({
    status: z.enum(['ok', 'unavailable']),
    engine: z.string(),
    version: z.string(),
    /** What the caller's credential is, where it is accepted. */
    caller: z.enum(['operator', 'key', 'sign-in', 'token']).optional(),
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
