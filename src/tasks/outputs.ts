import type { Manifest } from '../catalog/manifest.ts'
import { VergeError } from '../core/errors.ts'
import { halfToNumber } from '../core/half.ts'
import type { Tensor, Tensors } from '../core/tensors.ts'

/** An output of fractions, not copied where it need not be. */
export interface Floats {
  readonly name: string
  readonly shape: readonly number[]
  readonly data: Float32Array | Float64Array
}

/** All outputs that hold fractions, in the model's order. */
export function floatOutputs(outputs: Tensors): Floats[] {
  return [...outputs].flatMap(([name, output]) => {
    const data = floatsOf(output)
    return data === undefined ? [] : [{ name, shape: output.shape, data }]
  })
}

function floatsOf(output: Tensor): Float32Array | Float64Array | undefined {
  switch (output.datatype) {
    case 'FP16':
      return Float32Array.from(output.data, halfToNumber)
    case 'FP32':
    case 'FP64':
      return output.data
    default:
      return undefined
  }
}

/** A model that does not answer what its task needs. @param lacking "no output ..." */
export function wrongOutput(manifest: Manifest, lacking: string): VergeError {
  return new VergeError(
    'manifest_invalid',
    `Model "${manifest.model}" version "${manifest.version}" has ${lacking}. Its operator has to correct its settings and push it again.`,
  )
}
