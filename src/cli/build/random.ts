import { safeName } from '../../onnx/errors.ts'
import { type RandomNode, randomNodes } from '../../onnx/random.ts'
import { UsageError } from '../terminal/command-line.ts'
import type { LoadedModel } from './load.ts'

/** Nodes that are named; a network with dropout has one in each layer. */
const MOST_NAMED = 3

/** `RandomNormalLike "noise", Bernoulli "mask"` */
function namesOf(nodes: readonly RandomNode[]): string {
  const named = nodes.slice(0, MOST_NAMED).map(({ node, op }) => `${safeName(op)} "${safeName(node)}"`)
  return `${named.join(', ')}${nodes.length > named.length ? ` and ${nodes.length - named.length} more` : ''}`
}

/**
 * Checks whether a model draws random numbers and is allowed to.
 * @param allowed whether the person set --allow-random
 * @throws UsageError if it is not allowed
 */
export function isRandom({ model }: Pick<LoadedModel, 'model'>, allowed: boolean): boolean {
  const nodes = randomNodes(model)
  if (nodes.length === 0) return false
  if (allowed) return true
  throw new UsageError(
    `The model draws random numbers (${namesOf(nodes)}): its outputs for the same input differ each time, so they ` +
      'cannot be compared with anything.\nDropout in training mode usually comes from the export: call model.eval() before exporting. ' +
      'To serve the model without verification and without a result cache: --allow-random',
  )
}

/** Refuses what compares. @throws UsageError */
export function refuseRandom({ model }: Pick<LoadedModel, 'model'>): void {
  const nodes = randomNodes(model)
  if (nodes.length === 0) return
  throw new UsageError(
    `The model draws random numbers (${namesOf(nodes)}): its outputs for the same input differ each time, so there is ` +
      'nothing to compare. "verge push --allow-random" stores it without verification.',
  )
}

/** For the report of a model that is served all the same. */
export function randomNote({ model }: Pick<LoadedModel, 'model'>): string {
  return `random: the model draws random numbers (${namesOf(randomNodes(model))}), so its outputs are neither verified nor cached`
}
