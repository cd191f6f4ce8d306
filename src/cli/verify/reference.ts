import { LIMITS } from '../../core/limits.ts'
import { systemClock } from '../../core/runtime.ts'
import type { Session } from '../../engine/engine.ts'
import { NativeEngine } from '../../engine/native/engine.ts'
import { memorySource, sha256 } from '../pack/bytes.ts'

/**
 * A session of onnxruntime-node that runs the graph node by node as written, on one thread and without optimizations:
 * the reference result.
 * @throws model_invalid
 */
export function referenceSession(onnx: Uint8Array, signal: AbortSignal): Promise<Session> {
  const artifact = { sha256: sha256(onnx), format: 'onnx', bytes: onnx.length } as const
  return plainEngine().load(artifact, memorySource(onnx), { signal })
}

/** onnxruntime-node without optimizations, on one thread. */
export function plainEngine(): NativeEngine {
  return new NativeEngine({
    clock: systemClock,
    threads: 1,
    maxArtifactBytes: LIMITS.nativeArtifactBytes,
    turnLeaseMs: LIMITS.turnLeaseMs,
    optimization: 'disabled',
  })
}

/** Outputs that are tensors of a type that the protocol has, and so can be asked for. */
export function tensorOutputs({ signature }: Session): string[] {
  return signature.outputs.filter(({ datatype }) => datatype !== null).map(({ name }) => name)
}
