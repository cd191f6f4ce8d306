import { isVergeError, VergeError } from '../../../src/core/errors.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import { systemClock } from '../../../src/core/runtime.ts'
import type { Session } from '../../../src/engine/engine.ts'
import { NativeEngine } from '../../../src/engine/native/engine.ts'
import { decodeModel } from '../../../src/onnx/codec.ts'
import type { Sample } from '../../../src/quantize/types.ts'
import { memorySource, sha256 } from '../bytes.ts'
import { inputBounds } from './bounds.ts'
import { syntheticSamples } from './samples.ts'

/**
 * A session of onnxruntime-node that runs a graph node by node as it is written, on one thread: what the model says,
 * without any runtime's rewriting of it.
 * @throws model_invalid
 */
export function referenceSession(onnx: Uint8Array, signal: AbortSignal): Promise<Session> {
  const engine = new NativeEngine({
    clock: systemClock,
    threads: 1,
    maxArtifactBytes: LIMITS.nativeArtifactBytes,
    turnLeaseMs: LIMITS.turnLeaseMs,
    optimisation: 'disabled',
  })
  return engine.load({ sha256: sha256(onnx), format: 'onnx', bytes: onnx.length }, memorySource(onnx), { signal })
}

/** Outputs that are tensors of a type that the protocol has, and so can be asked for. */
export function tensorOutputs({ signature }: Session): string[] {
  return signature.outputs.filter(({ datatype }) => datatype !== null).map(({ name }) => name)
}

/**
 * Lengths that are tried for open dimensions, until the model runs: some take few, some are made for one, and models of
 * speech take a window of 512 with what comes before it, or a second.
 */
const LENGTHS = [16, 1, 32, 64, 128, 2, 512, 576, 16_000]

/**
 * Made-up samples that the model really runs on.
 * @throws VergeError run_rejected where none of the usual sizes does
 */
export async function findSamples(
  onnx: Uint8Array,
  { count, seed, signal }: { readonly count: number; readonly seed: number; readonly signal: AbortSignal },
): Promise<Sample[]> {
  const bounds = inputBounds(decodeModel(onnx))
  const session = await referenceSession(onnx, signal)
  try {
    const outputs = tensorOutputs(session)
    let refusal: unknown
    for (const length of LENGTHS) {
      const samples = syntheticSamples(session.signature, { count, seed, bounds, length })
      const [first] = samples
      if (first === undefined) return []
      try {
        await session.run(first.inputs, { outputs, signal })
        return samples
      } catch (error) {
        if (!isVergeError(error, 'run_rejected')) throw error
        refusal = error
      }
    }
    throw new VergeError(
      'run_rejected',
      `The model runs on none of the inputs that were made up for it; give samples of your own. ${(refusal as Error).message}`,
      { cause: refusal },
    )
  } finally {
    session.dispose()
  }
}
