import * as z from 'zod'
import { canaryRulesSchema } from './canary-rules.ts'
import { versionName } from './manifest.ts'

/** The version on trial, and how it is watched. */
export const canarySchema = z.object({
  /** One of the live versions; one of the others if it answers nobody and is only compared. */
  version: versionName,
  /** The stable version that it is compared with: one of the live ones. */
  against: versionName,
  /** Share of requests of which the outputs of both are compared, 0 to 1. Absent: none. */
  shadow: z.number().min(0).max(1).optional(),
  /** How much worse it may be, where that is not what `DEFAULT_CANARY_RULES` says. */
  rules: canaryRulesSchema.optional(),
  /** Whether it is taken out by itself where it is worse. */
  guarded: z.boolean(),
})

/**
 * The canary of one generation was taken out. Who watches it writes this into the stored alias, outside of the signature and
 * without a new generation, because a Worker has no key to sign with. For that reason it can do nothing else.
 */
export const stopSchema = z.object({
  generation: z.number().int().positive(),
  version: versionName,
  /** Seconds since 1970. */
  at: z.number().int().nonnegative(),
  reason: z.string().max(200),
})

export type Canary = z.infer<typeof canarySchema>
export type CanaryStop = z.infer<typeof stopSchema>

/** What a stop can change of an alias, and what decides whether it does. */
interface Trial {
  readonly generation: number
  readonly versions: Readonly<Record<string, string>>
  readonly live: readonly { readonly version: string; readonly weight: number }[]
  readonly canary?: Canary | undefined
  readonly stopped?: CanaryStop | undefined
}

/**
 * An alias as it counts, made of the alias as it is stored. A stop in force takes the canary out of the live versions; one
 * that is not is left out. A stop is in force if it names the canary of this very generation, so that the most that anybody
 * who writes it can do is to end a trial: the stable version stays live. A canary that does not fit the versions is left
 * out, too, because a Verge that does not know the field may have changed the versions around it.
 */
export function inForce<T extends Trial>(stored: T): T {
  const { canary, stopped, ...rest } = stored
  const alias = rest as T
  if (canary === undefined || !fits(canary, stored)) return alias
  const stops = stopped?.generation === stored.generation && stopped.version === canary.version
  if (!stops) return { ...alias, canary }
  return { ...alias, live: stored.live.filter(({ version }) => version !== canary.version), stopped }
}

function fits({ version, against }: Canary, { live, versions }: Trial): boolean {
  return version !== against && Object.hasOwn(versions, version) && live.some((each) => each.version === against)
}
