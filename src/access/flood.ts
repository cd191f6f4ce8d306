import { VergeError } from '../core/errors.ts'
import type { Logger } from '../core/runtime.ts'

/** A limit of the platform. */
export interface FloodLimit {
  limit(options: { key: string }): Promise<{ success: boolean }>
}

/** @param key whose requests are counted together; the empty text is nobody's @throws rate_limited */
export type FloodGuard = (key: string) => Promise<void>

/** What refuses requests by a limit of the platform. One that fails refuses nobody: what stands behind it still does. */
export function floodGuard(limit: FloodLimit, logger: Logger): FloodGuard {
  return async (key) => {
    if (key === '') return
    try {
      const { success } = await limit.limit({ key })
      if (success) return
    } catch (error) {
      logger.warn('rate_limit_failed', { error })
      return
    }
    throw flooded()
  }
}

/** The platform does not say when its limit begins again. */
function flooded(): VergeError {
  return new VergeError('rate_limited', 'Too many requests. Try again in a minute.', {
    retryAfter: 60,
    details: { limit: 'platform' },
  })
}
