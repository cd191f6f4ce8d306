import type { Artifact, Manifest } from '../../catalog/manifest.ts'
import type { Limits } from '../../core/limits.ts'
import { ELEMENT_BYTES, type TensorSpec } from '../../core/tensors.ts'
import { sessionFootprint } from '../../engine/costs.ts'
import { hasSameTokens } from '../../generate/same-tokens.ts'
import { binarySize } from '../terminal/format.ts'

type ShadowLimits = Pick<Limits, 'sessionBudgetBytes' | 'shadowBytes'>

/** What shadow traffic never compares of two versions, as their manifests tell, a sentence each. */
export function notCompared(stable: Manifest, canary: Manifest, limits: ShadowLimits): string[] {
  const versions = [stable, canary]
  const edge = versions.map(edgeArtifact)
  const lines: string[] = []
  if (edge.includes(undefined) || versions.some(({ placement }) => placement === 'origin')) {
    lines.push(
      'Requests that an origin is given whole are not compared. Their errors and times are. Runs of tensors at an origin are compared.',
    )
  }
  const [one, other] = edge
  if (one !== undefined && other !== undefined && one.sha256 !== other.sha256) {
    const bytes = sessionFootprint(one) + sessionFootprint(other)
    if (bytes > limits.sessionBudgetBytes) {
      lines.push(
        `At the edge nothing is compared: the two versions take ${binarySize(bytes)} of memory together, and an isolate has ` +
          `${binarySize(limits.sessionBudgetBytes)} for models.`,
      )
    }
  }
  if (stable.task === 'text-generation') {
    if (!hasSameTokens(stable, canary)) {
      lines.push(
        'Texts are not compared: the tokenizers of the versions differ, so that their tokens mean different things.',
      )
    }
    return lines
  }
  const least = [...stable.inputs, ...stable.outputs].reduce((sum, spec) => sum + leastBytes(spec), 0)
  if (least > limits.shadowBytes) {
    lines.push(
      `Nothing is compared: inputs and outputs of a request take at least ${binarySize(least)}, and a comparison holds ` +
        `${binarySize(limits.shadowBytes)}.`,
    )
  }
  return lines
}

/** What an isolate most likely runs. */
function edgeArtifact({ artifacts }: Manifest): Artifact | undefined {
  return artifacts.find(({ places }) => places.includes('edge'))
}

/** Of a tensor whose open lengths are 1. Texts count nothing. */
function leastBytes({ datatype, shape }: TensorSpec): number {
  if (datatype === null || datatype === 'BYTES') return 0
  return shape.reduce<number>(
    (product, size) => (typeof size === 'number' && size >= 0 ? product * size : product),
    ELEMENT_BYTES[datatype],
  )
}
