import { VergeError } from '../../core/errors.ts'

/** What shaders compute in 16-bit floats by. */
const HALF: GPUFeatureName = 'shader-f16'
/** What ONNX Runtime's kernels use where the adapter has it. */
const FEATURES: readonly GPUFeatureName[] = [HALF, 'subgroups']
/** Limits that the weights and the kernels of large models reach; a device has the least that any has, unless asked. */
const LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
  'maxComputeWorkgroupSizeZ',
  'maxComputeWorkgroupsPerDimension',
] as const satisfies readonly (keyof GPUSupportedLimits)[]

/** `navigator.gpu`: absent where the browser, the page's security or the machine has no WebGPU. */
type Gpu = Pick<GPU, 'requestAdapter'> | undefined

/** Whether the graphics processor computes in 16-bit floats; false where there is none. */
export async function hasHalfFloats(gpu: Gpu): Promise<boolean> {
  const adapter = await gpu?.requestAdapter().catch(() => null)
  return adapter?.features.has(HALF) ?? false
}

/** A device with all that models may need and the adapter has. @throws engine_unsupported */
export async function requestDevice(gpu: Gpu): Promise<GPUDevice> {
  let cause: unknown
  try {
    const adapter = await gpu?.requestAdapter({ powerPreference: 'high-performance' })
    if (adapter !== undefined && adapter !== null) {
      return await adapter.requestDevice({
        requiredFeatures: FEATURES.filter((feature) => adapter.features.has(feature)),
        requiredLimits: Object.fromEntries(LIMITS.map((name) => [name, adapter.limits[name]])),
      })
    }
  } catch (error) {
    cause = error
  }
  throw new VergeError('engine_unsupported', 'This browser has no WebGPU. Use the processor instead.', { cause })
}
