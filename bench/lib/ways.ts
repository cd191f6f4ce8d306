import type { PackedModel } from '../../src/cli/pack/packer.ts'

/** Ways to run a model inside a Worker. */
export const WAYS = ['verge', 'onnxruntime', 'plain'] as const
export type Way = (typeof WAYS)[number]

export const WAY_NAMES: Readonly<Record<Way, string>> = {
  verge: 'Verge',
  onnxruntime: 'Verge on ONNX Runtime',
  plain: 'plain .onnx in workerd',
}

/** What the Worker of a way is told: with `onnxruntime`, to leave its own engine off. */
export function varsOf(way: Way): Readonly<Record<string, string>> {
  return way === 'onnxruntime' ? { ENGINES: 'onnxruntime' } : {}
}

/** What the edge loads of a model: the artifact of Verge's own engine where it has one, or the one for ONNX Runtime. */
export function edgeArtifact({ manifest }: PackedModel, way: 'verge' | 'onnxruntime') {
  return manifest.artifacts.find(
    ({ format, places }) => places.includes('edge') && (way === 'verge' || format !== 'verge'),
  )
}

/** The ways that a model fits. The plain one takes more memory than the others, and is not held to a limit. */
export function waysOf(packed: PackedModel): Way[] {
  return WAYS.filter((way) => edgeArtifact(packed, way === 'verge' ? 'verge' : 'onnxruntime') !== undefined)
}
