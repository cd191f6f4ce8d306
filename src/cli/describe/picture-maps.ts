import type { TensorSpec } from '../../core/tensors.ts'
import { type DescribeContext, type Guess, taskNote } from './context.ts'
import type { LabelOutcome } from './labels.ts'
import { wholePicture } from './whole-picture.ts'

/** U2-Net, IS-Net and RMBG 1 answer numbers that only compare with each other. */
const COMPARES = /^(?:u2net|isnet|briarmbg)/i

/** A model that says how opaque each pixel is: RMBG, MODNet, BiRefNet, U2-Net, IS-Net. */
export async function describeMatte(context: DescribeContext): Promise<LabelOutcome<Guess>> {
  const plane = firstPlane(context.signature.outputs)
  if (plane === undefined) return { problem: 'it has no output of one number a pixel, [1, 1, h, w]' }
  const picture = wholePicture(context)
  if ('problem' in picture) return picture
  const { preprocess, notes } = picture.value
  const normalize = COMPARES.test(context.architecture ?? '')
  return {
    value: {
      fields: {
        task: context.task,
        preprocess,
        postprocess: { matte: { output: plane.name, activation: 'auto', normalize } },
      },
      notes: [
        taskNote(context),
        `transparency is output "${plane.name}"${normalize ? ', from its smallest to its greatest number' : ''}`,
        ...notes,
      ],
    },
  }
}

/** A model that says how far away each pixel is: DPT, Depth Anything, GLPN, MiDaS. */
export async function describeDepth(context: DescribeContext): Promise<LabelOutcome<Guess>> {
  const { outputs } = context.signature
  const plane = outputs.find(({ name }) => name === 'predicted_depth') ?? firstPlane(outputs)
  if (plane === undefined) return { problem: 'it has no output of one number a pixel, [1, h, w]' }
  const picture = wholePicture(context)
  if ('problem' in picture) return picture
  const { preprocess, notes } = picture.value
  return {
    value: {
      fields: { task: context.task, preprocess, postprocess: { depth: { output: plane.name } } },
      notes: [taskNote(context), `depth is output "${plane.name}"`, ...notes],
    },
  }
}

function firstPlane(outputs: readonly TensorSpec[]): TensorSpec | undefined {
  return outputs.find(({ datatype, shape }) => {
    const isFloat = datatype === 'FP32' || datatype === 'FP16'
    const single = shape.length === 3 || [shape[1], shape[3]].some((size) => typeof size !== 'number' || size === 1)
    return isFloat && single && (shape.length === 3 || shape.length === 4)
  })
}
