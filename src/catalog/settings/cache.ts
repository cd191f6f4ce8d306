import * as z from 'zod'

/** A month: what has not been asked for in that long is not worth keeping. */
const MOST_SECONDS = 30 * 86_400

/**
 * Whether and how long the result cache keeps answers of a model. False: never, for models with random answers or
 * confidential inputs. Absent: the Worker's default, if a run costs enough.
 */
export const cacheSettingsSchema = z.union([
  z.literal(false),
  z.strictObject({ ttlSeconds: z.number().int().positive().max(MOST_SECONDS) }),
])
