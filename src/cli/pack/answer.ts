import type { FixedAnswer } from '../../catalog/manifest.ts'
import { bytesHeld, floatElements, type Tensors } from '../../core/tensors.ts'
import { answerDigest } from '../answer/fixed-answer.ts'
import type { FixedRun } from './fixed-run.ts'

const MOST_OUTPUT_BYTES = 2 * 1024 * 1024

/**
 * What a manifest says of a run on fixed inputs, so that it can be repeated elsewhere. Undefined where the outputs are too
 * large to ask for, or need not have the same bits everywhere.
 */
export function answerOf({ inputs, outputs, roundsFreely }: FixedRun): FixedAnswer | undefined {
  return !roundsFreely && isComparable(outputs) ? { inputs: [...inputs], sha256: answerDigest(outputs) } : undefined
}

/** WebAssembly leaves the bits of NaN to the processor. */
function isComparable(outputs: Tensors): boolean {
  const numbers = [...outputs.values()].flatMap((output) => floatElements(output) ?? [])
  return bytesHeld(outputs) <= MOST_OUTPUT_BYTES && numbers.every((values) => !values.some(Number.isNaN))
}
