import { isVergeError, VergeError } from '../core/errors.ts'
import { ARRAY_TYPES, elementCount, type Tensor, type TensorSpec, type Tensors, tensor } from '../core/tensors.ts'
import type { RunContext, Serving } from '../serving/serving.ts'

/** A model that cannot take ones is in memory all the same. */
const LOADED = ['run_rejected', 'invalid_tensor', 'missing_input', 'unknown_input'] as const

/**
 * Loads a model and runs it once, on the smallest input that its signature allows, so that the first request finds
 * everything allocated.
 * @throws model_not_found, and what loading throws
 */
export async function warmUp(serving: Serving, model: string, context: RunContext): Promise<void> {
  const alias = await serving.alias(model, context)
  if (alias === null) throw new VergeError('model_not_found', `There is no model "${model}" to warm up.`)
  const resolved = await serving.resolve(alias, undefined, context)
  try {
    await serving.run(resolved, smallest(resolved.manifest.inputs), undefined, context)
  } catch (error) {
    if (!LOADED.some((code) => isVergeError(error, code))) throw error
  }
}

/** Ones: a zero may be divided by, which ends some models' process. */
function smallest(specs: readonly TensorSpec[]): Tensors {
  const inputs = new Map<string, Tensor>()
  for (const { name, datatype, shape } of specs) {
    if (datatype === null) continue
    const one = shape.map((dimension) => (typeof dimension === 'number' && dimension > 0 ? dimension : 1))
    const count = elementCount(one)
    if (datatype === 'BYTES') inputs.set(name, tensor('BYTES', one, new Array<string>(count).fill('')))
    else inputs.set(name, { datatype, shape: one, data: ones(datatype, count) } as unknown as Tensor)
  }
  return inputs
}

/** The half float 1 is 0x3c00. */
const HALF_ONE = 0x3c00

function ones(datatype: Exclude<Tensor['datatype'], 'BYTES'>, count: number): ArrayBufferView {
  const data = new ARRAY_TYPES[datatype](count)
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) return data.fill(1n)
  return data.fill(datatype === 'FP16' ? HALF_ONE : 1)
}
