import {
  ARRAY_TYPES,
  elementCount,
  type NumericArray,
  type Signature,
  type Tensor,
  type Tensors,
} from '../../core/tensors.ts'

/** What of a run decides which others it may be merged with. */
export interface Batchable {
  /** Equal for runs that agree in all but the first dimension and the values. */
  readonly key: string
  /** First dimension of every input, at least 1. */
  readonly rows: number
  /** Of all inputs together. */
  readonly elements: number
}

/**
 * Why a model's runs can never be merged; null if its signature does not stand against it. The first dimension of every
 * input and output has to be open, and no two may be named differently.
 */
export function signatureRefusal({ inputs, outputs }: Signature): string | null {
  if (inputs.length === 0 || outputs.length === 0) return 'it has no inputs or no outputs'
  const names = new Set<string>()
  for (const { name, datatype, shape } of [...inputs, ...outputs]) {
    const [first] = shape
    if (datatype === null) return `"${name}" does not have a tensor type of the protocol`
    if (first === undefined) return `"${name}" has no dimensions, or its rank is unknown`
    if (typeof first === 'string') names.add(first)
    else if (first !== -1) return `the first dimension of "${name}" is fixed`
  }
  return names.size > 1 ? `first dimensions are named differently: ${[...names].join(', ')}` : null
}

/** Undefined for a run that has to go alone, so that an error in it is found by the engine and told to its caller alone. */
export function batchable(
  { inputs: specs, outputs: results }: Signature,
  inputs: Tensors,
  outputs: readonly string[] | undefined,
): Batchable | undefined {
  if (inputs.size !== specs.length) return undefined
  if (outputs?.length === 0 || outputs?.some((name) => !results.some((spec) => spec.name === name))) return undefined
  let rows: number | undefined
  let elements = 0
  const shapes: unknown[] = []
  for (const { name, datatype } of specs) {
    const value = inputs.get(name)
    const first = value?.shape[0]
    if (!value || !first || value.datatype !== datatype || (rows !== undefined && first !== rows)) return undefined
    // A tensor that is shorter than its shape would shift its neighbours' values.
    if (value.data.length !== elementCount(value.shape)) return undefined
    rows = first
    elements += value.data.length
    shapes.push(value.shape.slice(1))
  }
  return rows === undefined ? undefined : { key: JSON.stringify([shapes, outputs ?? null]), rows, elements }
}

/** Joins runs along the first dimension; they agree in `Batchable.key`. */
export function joinInputs(runs: readonly Tensors[]): Tensors {
  const joined = new Map<string, Tensor>()
  for (const name of runs[0]?.keys() ?? []) {
    joined.set(name, joinTensors(runs.map((run) => run.get(name)).filter((value) => value !== undefined)))
  }
  return joined
}

function joinTensors(values: readonly Tensor[]): Tensor {
  const [first] = values
  if (first === undefined) throw new Error('there is nothing to join')
  const rows = values.reduce((sum, value) => sum + (value.shape[0] ?? 0), 0)
  const shape = [rows, ...first.shape.slice(1)]
  if (first.datatype === 'BYTES') {
    return { datatype: 'BYTES', shape, data: values.flatMap((value) => value.data as readonly string[]) }
  }
  const data = new ARRAY_TYPES[first.datatype](elementCount(shape))
  let offset = 0
  for (const value of values) {
    ;(data as Settable).set(value.data as NumericArray, offset)
    offset += value.data.length
  }
  return { datatype: first.datatype, shape, data } as Tensor
}

/** Arrays of one model input are of one kind, which their union does not tell. */
interface Settable {
  set(values: NumericArray, offset: number): void
}

/**
 * Takes a merged run's outputs apart again, in the order of `rows`. Numbers are views into the batch's own.
 * @param rows of each run
 * @returns undefined if an output has not just as many rows as went in
 */
export function split(outputs: Tensors, rows: readonly number[]): Tensors[] | undefined {
  const total = rows.reduce((sum, count) => sum + count, 0)
  for (const { shape } of outputs.values()) if (shape[0] !== total) return undefined
  let begin = 0
  return rows.map((count) => {
    const part = new Map<string, Tensor>()
    for (const [name, value] of outputs) part.set(name, rowsOf(value, begin, count))
    begin += count
    return part
  })
}

function rowsOf(value: Tensor, begin: number, count: number): Tensor {
  const inner = value.shape.slice(1)
  const size = elementCount(inner)
  const from = begin * size
  const to = from + count * size
  const data = value.datatype === 'BYTES' ? value.data.slice(from, to) : value.data.subarray(from, to)
  return { datatype: value.datatype, shape: [count, ...inner], data } as Tensor
}
