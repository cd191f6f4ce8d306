import { DataType } from '../../onnx/data.ts'
import { OnnxError, safeName } from '../../onnx/errors.ts'
import type { ModelProto, TypeProto, ValueInfoProto } from '../../onnx/schema/onnx_pb.js'

/** Element types that requests and answers have: those of the Open Inference Protocol. */
const SENDABLE: ReadonlySet<number> = new Set([
  DataType.FLOAT,
  DataType.UINT8,
  DataType.INT8,
  DataType.UINT16,
  DataType.INT16,
  DataType.INT32,
  DataType.INT64,
  DataType.STRING,
  DataType.BOOL,
  DataType.FLOAT16,
  DataType.DOUBLE,
  DataType.UINT32,
  DataType.UINT64,
])

/**
 * Refuses a model that cannot be called: with an input that a request cannot contain, or with an output type that
 * crashes or confuses its runtime. Answers leave out sequences and maps, so they are allowed if there is another
 * output.
 * @throws OnnxError unsupported, with the name and the kind
 */
export function refuseUnsendable({ graph }: ModelProto): void {
  const given = new Set(graph?.initializer.map(({ name }) => name))
  for (const input of graph?.input ?? []) {
    const kind = given.has(input.name) ? undefined : unsendableKind(input)
    if (kind === undefined) continue
    throw new OnnxError(
      'unsupported',
      `Input "${safeName(input.name)}" is ${kind}, which a request cannot contain. Export the model with tensors of numbers, booleans or texts as its inputs.`,
    )
  }
  const outputs = graph?.output ?? []
  const foreign = outputs.find((output) => output.type?.value.case === 'tensorType' && unsendableKind(output))
  if (foreign !== undefined) {
    throw new OnnxError(
      'unsupported',
      `Output "${safeName(foreign.name)}" is ${unsendableKind(foreign)}, which an answer cannot contain. Export the model without it, or cast it to a 32-bit float.`,
    )
  }
  const [first] = outputs
  if (first !== undefined && outputs.every((output) => unsendableKind(output) !== undefined)) {
    throw new OnnxError(
      'unsupported',
      `The model has no output that an answer can contain: "${safeName(first.name)}" is ${unsendableKind(first)}. Export it with a tensor as an output.`,
    )
  }
}

/** The kind of a value that is not a sendable tensor; undefined for sendable tensors and undeclared types. */
function unsendableKind({ type }: ValueInfoProto): string | undefined {
  const value = type?.value
  switch (value?.case) {
    case 'tensorType':
      return SENDABLE.has(value.value.elemType) || value.value.elemType === DataType.UNDEFINED
        ? undefined
        : `a tensor of ${typeName(value.value.elemType)}`
    case 'sequenceType':
      return `a sequence${ofWhat(value.value.elemType)}`
    case 'optionalType':
      return `an optional value${ofWhat(value.value.elemType)}`
    case 'mapType':
      return 'a map'
    case 'sparseTensorType':
      return 'a sparse tensor'
    default:
      return undefined
  }
}

function ofWhat(type: TypeProto | undefined): string {
  const value = type?.value
  if (value?.case === 'tensorType') return ` of tensors of ${typeName(value.value.elemType)}`
  return value?.case === 'mapType' ? ' of maps' : ''
}

function typeName(elementType: number): string {
  return DataType[elementType]?.toLowerCase() ?? `type ${elementType}`
}
