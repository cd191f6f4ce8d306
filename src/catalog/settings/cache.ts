import * as z from 'zod'

/** A month: what has not been asked for in that long is not worth keeping. */
const MOST_SECONDS = 30 * 86_400

/**
 * Whether and how long answers of a model are kept in the result cache. False: never, for a model that does not answer
 * the same twice, or whose inputs must leave no trace. Absent: as long as the Worker says, where a run is worth it.
 */
export const cacheSettingsSchema = z.union([
  z.literal(false),
  z.strictObject({ ttlSeconds: z.number().int().positive().max(MOST_SECONDS) }),
])
