import { VergeError } from '../core/errors.ts'
import { type Signature, type Tensor, type TensorSpec, type Tensors, unsendableInput } from '../core/tensors.ts'

/** A run's inputs in the signature's order. @throws unknown_input, missing_input */
export function selectInputs(signature: Signature, inputs: Tensors): readonly { spec: TensorSpec; value: Tensor }[] {
  const known = new Set(signature.inputs.map((spec) => spec.name))
  for (const name of inputs.keys()) {
    if (!known.has(name)) {
      throw new VergeError('unknown_input', `The model has no input "${name}". It has: ${[...known].join(', ')}.`, {
        details: { input: name },
      })
    }
  }
  return signature.inputs.map((spec) => {
    const value = inputs.get(spec.name)
    if (!value && spec.datatype === null) throw unsendableInput(spec.name)
    if (!value) {
      throw new VergeError('missing_input', `Input "${spec.name}" is missing.`, { details: { input: spec.name } })
    }
    return { spec, value }
  })
}

/**
 * The outputs wanted, in the order asked for; all that are tensors if none are named, as the model's metadata lists them.
 * @throws unknown_output; unsupported_output for one that is no tensor, or where none is
 */
export function selectOutputs(signature: Signature, wanted: readonly string[] | undefined): readonly TensorSpec[] {
  const specs = signature.outputs
  const [first] = specs
  if (wanted === undefined) {
    const tensors = specs.filter(({ datatype }) => datatype !== null)
    if (tensors.length === 0 && first !== undefined) throw notATensor(first.name)
    return tensors
  }
  return wanted.map((name) => {
    const spec = specs.find((candidate) => candidate.name === name)
    if (!spec) {
      const names = specs.map((candidate) => candidate.name).join(', ')
      throw new VergeError('unknown_output', `The model has no output "${name}". It has: ${names}.`, {
        details: { output: name },
      })
    }
    if (spec.datatype === null) throw notATensor(name)
    return spec
  })
}

export function notATensor(name: string): VergeError {
  return new VergeError(
    'unsupported_output',
    `Output "${name}" is not a tensor of a type that the protocol has. Ask for other outputs by name.`,
    { details: { output: name } },
  )
}
