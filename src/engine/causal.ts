import { VergeError } from '../core/errors.ts'
import { ARRAY_TYPES, type Signature, type Tensor, type TensorSpec, type Tensors, tensor } from '../core/tensors.ts'

/** One of the tensors that a causal model hands from one step to the next. */
export interface CachePair {
  /** Name of the input. */
  readonly past: string
  /** Name of the output that is the next step's `past`. */
  readonly present: string
  readonly datatype: 'FP32' | 'FP16'
  /** The shape before the first step: one sequence, no positions. */
  readonly shape: readonly number[]
  /** Axis along which positions are added. */
  readonly axis: number
}

interface TokenInput {
  readonly name: string
  readonly datatype: 'INT64' | 'INT32'
}

/** How a causal language model is fed, by the names that Hugging Face exports give its inputs and outputs. */
export interface CausalLayout {
  readonly ids: TokenInput
  readonly mask: TokenInput | undefined
  readonly positions: TokenInput | undefined
  /** `use_cache_branch` of a merged decoder: whether there is anything in the cache. */
  readonly branch: string | undefined
  /** `num_logits_to_keep`: how many positions' logits are wanted, counted from the end. */
  readonly keep: (TokenInput & { readonly rank: number }) | undefined
  readonly logits: string
  /** Empty for a model that is given the whole sequence at every step. */
  readonly cache: readonly CachePair[]
}

const PAST = /^past_key_values\.(\d+)\.(?:decoder\.)?(key|value)$/

/** @throws engine_unsupported, with the reason, if the signature is not that of a causal language model */
export function causalLayout(signature: Signature): CausalLayout {
  let ids: TokenInput | undefined
  let mask: TokenInput | undefined
  let positions: TokenInput | undefined
  let branch: string | undefined
  let keep: CausalLayout['keep']
  const cache: CachePair[] = []
  for (const spec of signature.inputs) {
    if (spec.name === 'input_ids') ids = sequenceInput(spec)
    else if (spec.name === 'attention_mask') mask = sequenceInput(spec)
    else if (spec.name === 'position_ids') positions = sequenceInput(spec)
    else if (spec.name === 'num_logits_to_keep') keep = { ...tokenInput(spec), rank: spec.shape.length }
    else if (spec.name === 'use_cache_branch') {
      if (spec.datatype !== 'BOOL' || spec.shape.length !== 1) throw unsupported(`input "${spec.name}" is not BOOL [1]`)
      branch = spec.name
    } else if (PAST.test(spec.name)) cache.push(cachePair(signature, spec))
    else throw unsupported(`it has an input "${spec.name}"`)
  }
  if (ids === undefined) throw unsupported('it has no input "input_ids"')
  const logits = signature.outputs.find(({ name }) => name === 'logits')
  if (logits === undefined) throw unsupported('it has no output "logits"')
  if (logits.datatype !== 'FP32' && logits.datatype !== 'FP16') throw unsupported('"logits" are neither FP32 nor FP16')
  return { ids, mask, positions, branch, keep, logits: logits.name, cache }
}

function tokenInput(spec: TensorSpec): TokenInput {
  const { name, datatype } = spec
  if (datatype !== 'INT64' && datatype !== 'INT32') throw unsupported(`input "${name}" is neither INT64 nor INT32`)
  return { name, datatype }
}

/** One row for each sequence, and as many columns as there are tokens. */
function sequenceInput(spec: TensorSpec): TokenInput {
  const [rows, columns] = spec.shape
  if (spec.shape.length !== 2 || isFixed(columns)) {
    throw unsupported(`input "${spec.name}" is not of two dimensions, the second of any size`)
  }
  if (isFixed(rows) && rows !== 1) throw unsupported(`input "${spec.name}" needs ${rows} sequences at once`)
  return tokenInput(spec)
}

function cachePair(signature: Signature, { name, datatype, shape }: TensorSpec): CachePair {
  if (datatype !== 'FP32' && datatype !== 'FP16') throw unsupported(`input "${name}" is neither FP32 nor FP16`)
  const open = shape.flatMap((dimension, axis) => (axis > 0 && !isFixed(dimension) ? [axis] : []))
  const [axis] = open
  if (shape.length < 3 || axis === undefined || open.length > 1 || (isFixed(shape[0]) && shape[0] !== 1)) {
    throw unsupported(
      `input "${name}" has the shape [${shape.join(', ')}], but the number of heads and their size must be fixed, and the dimension of positions must be dynamic`,
    )
  }
  const present = name.replace('past_key_values', 'present')
  if (!signature.outputs.some((output) => output.name === present && output.datatype === datatype)) {
    throw unsupported(`it has no ${datatype} output "${present}" for the input "${name}"`)
  }
  return {
    past: name,
    present,
    datatype,
    shape: shape.map((dimension, index) => (index === 0 ? 1 : index === axis ? 0 : Number(dimension))),
    axis,
  }
}

function isFixed(dimension: number | string | undefined): dimension is number {
  return typeof dimension === 'number' && dimension >= 0
}

/** Inputs of a step beside the cache: `tokens`, after `past` cached positions. */
export function stepInputs(layout: CausalLayout, tokens: readonly number[], past: number): Tensors {
  const inputs = new Map([[layout.ids.name, integers(layout.ids, [1, tokens.length], tokens)]])
  const put = (input: TokenInput | undefined, values: readonly number[]): void => {
    if (input !== undefined) inputs.set(input.name, integers(input, [1, values.length], values))
  }
  put(layout.mask, new Array<number>(past + tokens.length).fill(1))
  put(
    layout.positions,
    tokens.map((_, index) => past + index),
  )
  if (layout.keep !== undefined) {
    inputs.set(layout.keep.name, integers(layout.keep, new Array<number>(layout.keep.rank).fill(1), [1]))
  }
  if (layout.branch !== undefined) inputs.set(layout.branch, tensor('BOOL', [1], Uint8Array.of(past > 0 ? 1 : 0)))
  return inputs
}

/** A cache without positions. */
export function emptyCache({ datatype, shape }: CachePair): Tensor {
  return tensor(datatype, shape, new ARRAY_TYPES[datatype](0) as never)
}

function integers({ datatype }: TokenInput, shape: readonly number[], values: readonly number[]): Tensor {
  return datatype === 'INT64'
    ? tensor('INT64', shape, BigInt64Array.from(values, BigInt))
    : tensor('INT32', shape, Int32Array.from(values))
}

function unsupported(reason: string): VergeError {
  return new VergeError(
    'engine_unsupported',
    `The model cannot generate text: ${reason}. Export it for text generation, with a key-value cache, as Hugging Face Optimum does.`,
  )
}
