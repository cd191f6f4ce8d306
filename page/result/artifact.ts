import { sizeInWords } from '../media/size-words.ts'
import type { ArtifactInfo } from '../models.ts'

const ENGINES: Readonly<Record<string, string>> = {
  verge: 'Verge’s own engine',
  ort: 'ONNX Runtime',
  onnx: 'ONNX Runtime',
  onnxruntime: 'ONNX Runtime',
  webgpu: 'WebGPU by ONNX Runtime',
}

/**
 * An artifact in words; undefined where the answer does not name one, as with servers of other makers.
 * @param engine what executed it; without it the artifact's format tells
 */
export function artifactText(
  id: string | undefined,
  artifacts: readonly ArtifactInfo[],
  engine?: string,
): string | undefined {
  if (id === undefined) return undefined
  const known = artifacts.find((artifact) => artifact.id === id)
  const name = engine ?? known?.format
  const on = name === undefined ? '' : ` on ${ENGINES[name] ?? name}`
  return known === undefined
    ? `Artifact ${id}${on}.`
    : `Artifact ${id}: ${known.dtype}, ${sizeInWords(known.bytes)},${on}.`
}
