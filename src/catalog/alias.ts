import * as z from 'zod'
import { canarySchema, stopSchema } from './canary.ts'
import { modelName, sha256Hex, versionName } from './manifest.ts'
import { signatureSchema } from './signing/signature.ts'

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
  /** The version on trial. Absent: nothing is watched. */
  canary: canarySchema.optional(),
  /** Not of the release, nor of its signature: `inForce` says what it does. */
  stopped: stopSchema.optional(),
  /** When each version was added, in seconds since 1970. Versions that an older Verge added are missing. */
  created: z.record(versionName, z.number().int().nonnegative()).optional(),
  /** Versions that answered alone before the live ones, oldest first and each once: where a rollback goes. */
  history: z.array(versionName).readonly().optional(),
  /**
   * The generation that seeding wrote. If it is the current one, seeding alone has ever written this alias. Any other
   * writer raises the generation, also an older Verge that does not know this field.
   */
  seeded: z.number().int().positive().optional(),
  /** Earlier live versions in the format of an older Verge. Read for rollbacks, and replaced by `history`. */
  previous: liveSchema.optional(),
  /**
   * By whom this very alias was released. Manifests and weights need no signatures of their own: the alias has the digests
   * of the manifests, and those have the digests of everything else.
   */
  signature: signatureSchema.optional(),
})

export type Alias = z.infer<typeof aliasSchema>
export type Visibility = Alias['visibility']

/** Whether seeding alone has ever written the alias, so that its model follows the folder that it is seeded from. */
export function isSeeded({ seeded, generation }: Pick<Alias, 'seeded' | 'generation'>): boolean {
  return seeded === generation
}
