import type { Artifact, Manifest } from '../../catalog/manifest.ts'

/** The engines of a browser: Verge's own, ONNX Runtime's WebAssembly, and ONNX Runtime on WebGPU. */
export type BrowserEngine = 'verge' | 'onnxruntime' | 'webgpu'

/** What computes: the processor through WebAssembly, or the graphics processor through WebGPU. */
export type Backend = 'wasm' | 'webgpu'

export interface SuitableArtifact {
  readonly artifact: Artifact
  readonly engine: BrowserEngine
}

/** Precisions that a graphics processor computes in 16-bit floats. */
const HALVES: readonly string[] = ['fp16', 'q4f16']
/** For a graphics processor, best first: 8-bit products gain nothing there, and some of them run on the processor. */
const FOR_GPU: readonly string[] = ['fp16', 'fp32', 'q4f16', 'q4']

/**
 * Artifacts of a model that a browser may run, best first. On the processor they are those of the Worker, in its order, so
 * that the answers are the same; what is meant for browsers alone follows.
 * @param f16 whether the graphics processor computes in 16-bit floats
 */
export function suitableArtifacts(
  { artifacts }: Pick<Manifest, 'artifacts'>,
  backend: Backend,
  f16: boolean,
): readonly SuitableArtifact[] {
  if (backend === 'wasm') {
    const forEdge = artifacts.filter(({ places }) => places.includes('edge'))
    const besides = artifacts.filter(({ places }) => places.includes('browser') && !places.includes('edge'))
    return [...forEdge, ...besides].map((artifact) => ({
      artifact,
      engine: artifact.format === 'verge' ? 'verge' : 'onnxruntime',
    }))
  }
  const rank = ({ dtype }: Artifact): number => {
    const at = FOR_GPU.indexOf(dtype)
    return at < 0 ? FOR_GPU.length : at
  }
  return artifacts
    .filter(({ dtype, format }) => format === 'onnx' && (f16 || !HALVES.includes(dtype)))
    .toSorted((a, b) => rank(a) - rank(b))
    .map((artifact) => ({ artifact, engine: 'webgpu' }))
}
