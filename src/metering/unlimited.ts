import type { Metering, Permit } from './metering.ts'

const PERMIT: Permit = {
  plan: {},
  low: false,
  state: undefined,
  forModel: () => undefined,
  spend: () => undefined,
  tokens: () => undefined,
  refund() {},
  finish() {},
}

/**
 * For where there is nothing to limit by: origins, whose requests the Worker has admitted, and browsers.
 * @public
 */
export const UNLIMITED: Metering = { admit: () => Promise.resolve(PERMIT) }
