import type { Manifest } from '../../catalog/manifest.ts'
import { VergeError } from '../../core/errors.ts'
import { floatElements, type Tensors } from '../../core/tensors.ts'

/** An output of fractions, not copied where it need not be. */
export interface Floats {
  readonly name: string
  readonly shape: readonly number[]
  readonly data: Float32Array | Float64Array
}

/** All outputs that hold fractions, in the model's order. */
export function floatOutputs(outputs: Tensors): Floats[] {
  return [...outputs].flatMap(([name, output]) => {
    const elements = floatElements(output)
    if (elements === undefined) return []
    const data = elements instanceof Float16Array ? Float32Array.from(elements) : elements
    return [{ name, shape: output.shape, data }]
  })
}

/** All outputs that hold numbers, in the model's order; whole numbers are exact up to 2^53. */
export function numberOutputs(outputs: Tensors): Floats[] {
  return [...outputs].flatMap(([name, output]) => {
    const { datatype, shape, data } = output
    if (datatype === 'BYTES' || datatype === 'BOOL') return []
    const [floats] = floatOutputs(new Map([[name, output]]))
    return [floats ?? { name, shape, data: Float64Array.from(data as ArrayLike<number>, Number) }]
  })
}

/** A model that does not answer what its task needs. @param lacking "no output ..." */
export function wrongOutput(manifest: Manifest, lacking: string): VergeError {
  return new VergeError(
    'manifest_invalid',
    `Model "${manifest.model}" version "${manifest.version}" has ${lacking}. Correct its settings and push it again.`,
  )
}
