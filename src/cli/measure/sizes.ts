import { isVergeError } from '../../core/errors.ts'
import type { Tensors } from '../../core/tensors.ts'
import { decodeModel } from '../../onnx/codec.ts'
import { isOnnxError } from '../../onnx/errors.ts'
import type { Sample } from '../../quantize/types.ts'
import { inputBounds } from '../verify/bounds.ts'
import { type InputMaker, type InputSettings, multiples, sizedCandidates } from '../verify/candidates.ts'
import { referenceSession, tensorOutputs } from '../verify/reference.ts'
import type { Shapes } from '../verify/samples.ts'

/** Inputs of one size. */
export interface SizedInputs {
  readonly elements: number
  readonly inputs: Tensors
}

/**
 * Inputs of several sizes for a model with dynamic dimensions, of one size otherwise. Generated if the model accepts
 * generated inputs, else from the samples. Smallest first.
 * @param onnx any plain form of the model
 * @param settings known properties of its inputs
 */
export async function sizedInputs(
  onnx: Uint8Array,
  samples: readonly Sample[],
  signal: AbortSignal,
  settings?: InputSettings,
): Promise<SizedInputs[]> {
  const session = await referenceSession(onnx, signal)
  try {
    const bounds = inputBounds(decodeModel(onnx))
    const facts = { signature: session.signature, bounds, settings }
    const outputs = tensorOutputs(session)
    const sizes = new Map<number, SizedInputs>()
    const addThoseThatRun = async (makers: readonly InputMaker[]): Promise<void> => {
      for (const maker of makers) {
        signal.throwIfAborted()
        try {
          const [sample] = maker.make({ count: 1, seed: 1 })
          if (sample === undefined) continue
          await session.run(sample.inputs, { outputs, signal })
          add(sizes, sample.inputs)
        } catch (error) {
          // Positions that end earlier, or an input that cannot be made up: other sizes may do.
          if (!isVergeError(error, 'run_rejected') && !isOnnxError(error)) throw error
        }
      }
    }
    await addThoseThatRun(sizedCandidates(facts))
    // One size tells nothing about how a run's time grows: multiples of a size that is known to run may tell.
    if (sizes.size < 2 && samples[0]) await addThoseThatRun(multiples(facts, shapesOf(samples[0])))
    if (sizes.size === 0) for (const { inputs } of samples) add(sizes, inputs)
    const ordered = [...sizes.values()].sort((left, right) => left.elements - right.elements)
    return spread(ordered)
  } finally {
    session.dispose()
  }
}

function shapesOf({ inputs }: Sample): Shapes {
  return new Map([...inputs].map(([name, { shape }]) => [name, shape]))
}

function add(sizes: Map<number, SizedInputs>, inputs: Tensors): void {
  const elements = [...inputs.values()].reduce((total, { data }) => total + data.length, 0)
  if (!sizes.has(elements)) sizes.set(elements, { elements, inputs })
}

/** At most three: the smallest, the middle and the largest. */
function spread(sizes: readonly SizedInputs[]): SizedInputs[] {
  if (sizes.length <= 3) return [...sizes]
  return [0, Math.floor(sizes.length / 2), sizes.length - 1].map((index) => sizes[index] as SizedInputs)
}
