import type { Plan, PlanStep } from '../engine/verge/plan.ts'

/** Steps that may leave the rounding of their sums to the processor. */
const PRODUCTS: readonly string[] = ['conv-f32', 'linear-f32']
/** Models with these are no convolutional ones, or promise the same bits everywhere. */
const OTHERS: readonly string[] = ['attention', 'attention-int8', 'matmul', 'conv-int8', 'linear-int8', 'linear-grid']

/**
 * The plan of a convolutional model in floats with products that round as the processor does (relaxed madd), which is up to 1.5
 * times as fast. Plans of other models stay as they are: encoders, and whatever computes with 8 bits.
 */
export function fastConvolutions(plan: Plan): Plan {
  const has = (ops: readonly string[]): boolean => plan.steps.some(({ op }) => ops.includes(op))
  if (!has(['conv-f32']) || has(OTHERS)) return plan
  const fast = (step: PlanStep): PlanStep =>
    PRODUCTS.includes(step.op) ? { ...step, with: { ...step.with, fast: 1 } } : step
  return { ...plan, steps: plan.steps.map(fast) }
}

/** Whether a step lets the processor choose how it rounds. */
export function roundsFreely({ steps }: Plan): boolean {
  return steps.some((step) => step.with?.fast === 1)
}
