import type { PackedModel } from '../pack/packer.ts'
import { DOES_NOT_RUN, type Verification } from '../verify/verify.ts'

/** An artifact for Verge's own engine whose answers a proof does not accept. */
export interface Declined {
  readonly artifact: string
  /** The first failure, as a sentence. */
  readonly why: string
}

/**
 * What Verge's own engine does not answer rightly, and ONNX Runtime does in the same precision: the model is served
 * without it. Where both differ, the model itself is wrong.
 */
export function declinedBy({ artifacts }: Verification, { manifest }: PackedModel): readonly Declined[] {
  const edge = artifacts.filter(({ place }) => place === 'edge')
  const isOwn = (id: string): boolean => manifest.artifacts.some((each) => each.id === id && each.format === 'verge')
  const failing = edge.filter(({ failures }) => failures.length > 0)
  if (!failing.every(({ artifact }) => isOwn(artifact))) return []
  const serves = (dtype: string): boolean =>
    edge.some(
      (each) =>
        each.dtype === dtype &&
        !isOwn(each.artifact) &&
        each.failures.length === 0 &&
        each.outputs.some(({ unexercised }) => unexercised === null),
    )
  if (!failing.every(({ dtype }) => serves(dtype))) return []
  return failing.map(({ artifact, failures: [why = ''] }) => ({ artifact, why }))
}

/** Whether the same would be found again. That an artifact did not run may be by chance, on a busy machine. */
export function isLasting(declined: readonly Declined[]): boolean {
  return declined.every(({ why }) => !why.startsWith(DOES_NOT_RUN))
}

export function declinedNote({ artifact, why }: Declined): string {
  return `${artifact}: not served by Verge's own engine: ${why}; the model runs on ONNX Runtime`
}
