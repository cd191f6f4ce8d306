import type { Signature } from '../../core/tensors.ts'
import { PICTURE_INPUTS } from '../../tasks/pictures/input.ts'
import type { LabelOutcome } from './labels.ts'

/** The image input of a model. */
export interface ImageInput {
  readonly layout: 'NCHW' | 'NHWC'
  readonly channels: 1 | 3
  /** Undefined where it takes any. */
  readonly height: number | undefined
  readonly width: number | undefined
}

/** Reads from a signature how a picture has to lie in memory. */
export function imageInput({ inputs }: Signature): LabelOutcome<ImageInput> {
  const [input, other] = inputs.filter(({ name }) => !PICTURE_INPUTS.includes(name))
  if (input === undefined || other !== undefined) return { problem: 'it does not have exactly one input' }
  if (
    input.datatype !== 'FP32' &&
    input.datatype !== 'FP16' &&
    input.datatype !== 'UINT8' &&
    input.datatype !== 'INT32'
  ) {
    return { problem: `its input "${input.name}" has a datatype that images cannot have` }
  }
  if (input.shape.length !== 4) return { problem: `its input "${input.name}" does not have four dimensions` }
  const fixed = (axis: number): number | undefined => {
    const size = input.shape[axis]
    return typeof size === 'number' && size > 0 ? size : undefined
  }
  const [first, last] = [fixed(1), fixed(3)]
  if (isChannels(first)) return { value: { layout: 'NCHW', channels: first, height: fixed(2), width: fixed(3) } }
  if (isChannels(last)) return { value: { layout: 'NHWC', channels: last, height: fixed(1), width: fixed(2) } }
  if (first !== undefined && last !== undefined) return { problem: 'its images have neither one nor three channels' }
  // Open dimensions are what exporters of PyTorch leave, where channels come first.
  return { value: { layout: 'NCHW', channels: 3, height: fixed(2), width: fixed(3) } }
}

function isChannels(size: number | undefined): size is 1 | 3 {
  return size === 1 || size === 3
}
