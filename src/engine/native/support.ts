import { createRequire } from 'node:module'
import { sessionFootprint } from '../costs.ts'
import type { ArtifactInfo, Support } from '../engine.ts'

/** Version of onnxruntime-node, which writes ORT-format files of the same version. */
export const NATIVE_VERSION = (
  createRequire(import.meta.url)('onnxruntime-node/package.json') as { readonly version: string }
).version

/** What ONNX Runtime computes with: an NVIDIA GPU, any GPU by way of Vulkan, Metal or Direct3D, or the processor. */
export type Provider = 'cuda' | 'webgpu' | 'cpu'

export const PROVIDERS: readonly Provider[] = ['cuda', 'webgpu', 'cpu']

export interface NativeLimits {
  /** Artifacts above this are refused: protobuf, and so ONNX in one piece, ends at 2 GiB. */
  readonly maxArtifactBytes: number
  /** Sessions that would take more than this together, as `sessionFootprint` counts, are refused; unbounded if left out. */
  readonly memoryLimitBytes?: number
}

/** Whether the native engine takes an artifact, without loading the runtime. */
export function nativeSupport(artifact: ArtifactInfo, limits: NativeLimits): Support {
  if (artifact.format === 'verge') {
    return { ok: false, code: 'engine_unsupported', reason: "is compiled for Verge's own engine" }
  }
  const { maxArtifactBytes, memoryLimitBytes = Number.POSITIVE_INFINITY } = limits
  if (artifact.bytes > maxArtifactBytes) {
    return {
      ok: false,
      code: 'model_too_large',
      reason: `is ${artifact.bytes} bytes; the limit of the engine is ${maxArtifactBytes}`,
    }
  }
  const needed = sessionFootprint(artifact)
  if (needed > memoryLimitBytes) {
    return {
      ok: false,
      code: 'model_too_large',
      reason: `needs about ${needed} bytes of memory; the limit of the engine is ${memoryLimitBytes}`,
    }
  }
  return { ok: true }
}
