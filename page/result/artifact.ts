import type { ArtifactInfo } from '../models.ts'

const ENGINES: Readonly<Record<ArtifactInfo['format'], string>> = {
  verge: 'Verge’s own engine',
  ort: 'ONNX Runtime',
  onnx: 'ONNX Runtime',
}

/** An artifact in words; undefined where the answer does not name one, as with servers of other makers. */
export function artifactText(id: string | undefined, artifacts: readonly ArtifactInfo[]): string | undefined {
  if (id === undefined) return undefined
  const known = artifacts.find((artifact) => artifact.id === id)
  if (known === undefined) return `Artifact ${id}.`
  return `Artifact ${id}: ${known.dtype}, ${byteText(known.bytes)}, on ${ENGINES[known.format]}.`
}

/** Bytes as people read them. */
export function byteText(bytes: number): string {
  if (bytes < 1000) return `${bytes} bytes`
  if (bytes < 1_000_000) return `${(bytes / 1000).toFixed(bytes < 10_000 ? 1 : 0)} kB`
  return `${(bytes / 1_000_000).toFixed(1)} MB`
}
