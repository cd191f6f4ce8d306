import type { ArtifactInfo } from './engine.ts'

/**
 * Where no cost was measured, a run is taken to be this many times as cheap as the bytes of the weights times the
 * elements of the input say. That product counts each weight four times over in 32-bit floats, and for most networks
 * takes each weight to meet each element, which it does not.
 */
const ESTIMATE_PER_UNIT = 10_000_000

/**
 * What a run costs before it is made, in units of a million multiply-adds: measured where the manifest says so, else
 * estimated. Clocks stand still while a model runs in production, so nothing is learnt from the run itself.
 * @param elements of all inputs together
 */
export function runCost(artifact: Pick<ArtifactInfo, 'bytes' | 'cost'>, elements: number): number {
  if (artifact.cost !== undefined) return artifact.cost.base + artifact.cost.perElement * elements
  return (artifact.bytes * Math.max(1, elements)) / ESTIMATE_PER_UNIT
}

/** An input of a run, as far as its cost depends on it; its elements are not there while a request is only planned. */
export interface CostInput {
  readonly shape: readonly number[]
  readonly data?: ArrayLike<unknown>
}

/**
 * What a run's loops cost beside it, in the same units: by the number of steps that is sent, else by the most there may be.
 * @param elements of all inputs together
 */
export function loopCost(
  { loops = [] }: Pick<ArtifactInfo, 'loops'>,
  inputs: ReadonlyMap<string, CostInput>,
  elements: number,
): number {
  return loops.reduce((sum, { cost, input, perElement, steps }) => {
    const taken = input === undefined ? steps : stepsSent(inputs.get(input))
    return sum + taken * (cost + perElement * elements)
  }, 0)
}

function stepsSent(input: CostInput | undefined): number {
  const steps = Number(input?.data?.[0] ?? 0)
  return steps > 0 ? steps : 0
}
