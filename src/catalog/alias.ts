import { z } from 'zod'
import { modelName, sha256Hex, versionName } from './manifest.ts'

export const ALIAS_SCHEMA = 1

/** Who may see and run a model. Private unless published. */
export const VISIBILITIES = ['private', 'public'] as const

/** Versions that answer where none is named, with their relative weights. */
const liveSchema = z.array(z.object({ version: versionName, weight: z.number().positive() })).min(1)

/**
 * A model's one mutable record: which immutable versions exist, which are live and with what weights, and who may see
 * it. It lives in R2, is written with a conditional put, and is cached in KV; a release, a canary, a rollback or a
 * publication is one write of it.
 */
export const aliasSchema = z.object({
  schema: z.number().int().positive(),
  model: modelName,
  /** Rises by one with every write. */
  generation: z.number().int().positive(),
  visibility: z.enum(VISIBILITIES),
  /** Every version that can be asked for by name, with its manifest's digest. */
  versions: z.record(versionName, sha256Hex),
  live: liveSchema,
  /** What was live before, for a rollback; a version of it may be gone. */
  previous: liveSchema.optional(),
})

export type Alias = z.infer<typeof aliasSchema>
export type Visibility = Alias['visibility']
