import { VergeError } from '../core/errors.ts'
import type { Refusal } from '../core/work.ts'

/**
 * Refuses a file that takes too many steps to read.
 * @param what the file, with what was found in it
 * @param advice what to send instead, without a full stop
 */
export function tooManySteps(what: string, advice: string): Refusal {
  return (steps, limit) =>
    new VergeError(
      'input_too_large',
      `${what} takes ${millions(steps)} million steps to read; at most ${millions(limit)} million are allowed. ${advice}.`,
      { details: { steps: Math.ceil(steps), limit_steps: limit } },
    )
}

function millions(steps: number): number {
  return Math.ceil(steps / 1e6)
}
