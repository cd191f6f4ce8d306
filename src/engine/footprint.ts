import type { ArtifactInfo } from './engine.ts'

const MiB = 1024 * 1024

/**
 * Bytes of engine memory that a loaded session of an artifact holds: measured where the manifest says so, else
 * estimated. ORT-format weights are used where they lie, plus graph structures; a plain ONNX file is parsed into
 * copies (measured at 79.6 MB for a 22.6 MB encoder, of which about 10 MB is the runtime's own).
 */
export function sessionFootprint(artifact: ArtifactInfo): number {
  if (artifact.memoryBytes !== undefined) return artifact.memoryBytes
  return Math.ceil(artifact.format === 'ort' ? artifact.bytes * 1.25 + MiB : artifact.bytes * 3 + MiB)
}
