import { VergeError } from '../core/errors.ts'
import { type BoundTask, RawAnswer } from './task.ts'

/**
 * The task, with answers of finite numbers alone: JSON has no others, and would answer `null` in their place.
 * @throws run_rejected in `execute`, where a model's outputs are not finite
 */
export function withFiniteAnswers(task: BoundTask): BoundTask {
  return {
    ...task,
    async execute(body, model, run) {
      const answer = await task.execute(body, model, run)
      if (answer instanceof RawAnswer || hasFiniteNumbers(answer)) return answer
      throw new VergeError(
        'run_rejected',
        "The model's answer to this input is not a finite number. Look for inputs far from those that the model was trained on.",
      )
    },
  }
}

/** Whether a value that becomes JSON holds finite numbers alone. */
function hasFiniteNumbers(value: unknown): boolean {
  if (typeof value === 'number') return Number.isFinite(value)
  if (typeof value !== 'object' || value === null) return true
  return (Array.isArray(value) ? value : Object.values(value)).every(hasFiniteNumbers)
}
