import type { Manifest } from '../../catalog/manifest.ts'
import { VergeError } from '../../core/errors.ts'
import { type Tensor, type TensorSpec, type Tensors, tensor } from '../../core/tensors.ts'
import type { EncodedText } from '../../media/text/tokenizer.ts'
import { wrongInput } from '../task.ts'

/** A text as a model is given it. */
export interface InputText extends EncodedText {
  /** So many of its tokens are looked at by the others; all if left out. */
  readonly attended?: number
}

/**
 * Tensors for what a text model takes: token ids, and the attention mask and type ids where its signature has them.
 * Shorter texts are padded to the longest where the model has a mask to tell it so.
 * @throws manifest_invalid, invalid_request
 */
export function textTensors(texts: readonly InputText[], padId: number, manifest: Manifest): Tensors {
  const length = texts.reduce((longest, { ids }) => Math.max(longest, ids.length), 0)
  if (length === 0)
    throw new VergeError('empty_input', 'The text contains no tokens that the model knows. Send some words.')
  const masked = manifest.inputs.some(({ name }) => name === 'attention_mask')
  if (!masked && texts.some(({ ids }) => ids.length !== length)) {
    throw new VergeError(
      'invalid_request',
      'This model does not take texts of different lengths in one request. Send them one at a time.',
    )
  }
  const shape = [texts.length, length]
  const rows = {
    input_ids: (text: InputText, i: number) => text.ids[i] ?? padId,
    attention_mask: ({ attended, ids }: InputText, i: number) => (i < (attended ?? ids.length) ? 1 : 0),
    token_type_ids: (text: InputText, i: number) => text.typeIds[i] ?? 0,
  }
  const tensors = new Map<string, Tensor>()
  for (const spec of manifest.inputs) {
    if (!isTextInput(spec.name)) throw wrongInput(manifest, spec)
    const element = rows[spec.name]
    const at = (i: number): number => {
      const text = texts[Math.floor(i / length)]
      return text === undefined ? padId : element(text, i % length)
    }
    tensors.set(spec.name, integerTensor(spec, shape, at, manifest))
  }
  if (!tensors.has('input_ids')) throw wrongInput(manifest, undefined)
  return tensors
}

function isTextInput(name: string): name is 'input_ids' | 'attention_mask' | 'token_type_ids' {
  return name === 'input_ids' || name === 'attention_mask' || name === 'token_type_ids'
}

function integerTensor(
  spec: TensorSpec,
  shape: readonly number[],
  at: (index: number) => number,
  manifest: Manifest,
): Tensor {
  const count = shape.reduce((product, dimension) => product * dimension, 1)
  if (spec.datatype === 'INT64') {
    const data = new BigInt64Array(count)
    for (let i = 0; i < count; i++) data[i] = BigInt(at(i))
    return tensor('INT64', shape, data)
  }
  if (spec.datatype === 'INT32') {
    const data = new Int32Array(count)
    for (let i = 0; i < count; i++) data[i] = at(i)
    return tensor('INT32', shape, data)
  }
  throw wrongInput(manifest, spec)
}
