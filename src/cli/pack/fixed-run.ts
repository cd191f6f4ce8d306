import { roundsFreely } from '../../compile/fast-rounding.ts'
import { isVergeError } from '../../core/errors.ts'
import type { Signature, Tensors } from '../../core/tensors.ts'
import type { Session } from '../../engine/engine.ts'
import { readHeader, readPlanJson } from '../../engine/verge/artifact.ts'
import { checkPlan } from '../../engine/verge/check.ts'
import type { Plan } from '../../engine/verge/plan.ts'
import { decodeModel } from '../../onnx/codec.ts'
import { type FixedInput, fixedInputs } from '../answer/fixed-answer.ts'
import { type ArtifactBytes, loadArtifact, vergeHere } from '../engine/verge-here.ts'
import { inputBounds } from '../verify/bounds.ts'
import { elementsOf, inputShapes, isPicture } from '../verify/samples.ts'

/** Tokens of a text: enough for every operator of a model to do its part. */
const LENGTH = 8
/** More is not asked of a Worker for a check; a picture of 3 x 256 x 256 is below it. */
const MOST_ELEMENTS = 256 * 1024
/** Ids that a table may be expected to have, where the graph does not lead from the input to a table. */
const GUESSED_IDS = 100
/** Values of a pixel. */
const SHADES = 256

/** One for all models of a process: a wasm memory that has grown is not given back. */
let engine: ReturnType<typeof vergeHere> | undefined

/** What a compiled artifact computes of inputs that follow a rule. */
export interface FixedRun {
  readonly inputs: readonly FixedInput[]
  readonly outputs: Tensors
  /** Whether a step lets the processor choose how it rounds. */
  readonly roundsFreely: boolean
}

/**
 * Runs a compiled artifact on fixed inputs. Undefined where none can be made up that it runs on.
 * @param onnx the file that the artifact was compiled from
 */
export async function fixedRun(
  onnx: Uint8Array,
  artifact: ArtifactBytes,
  signal: AbortSignal,
): Promise<FixedRun | undefined> {
  engine ??= vergeHere()
  const session = await loadArtifact(await engine, artifact, signal)
  try {
    const bounds = inputBounds(decodeModel(onnx))
    for (const below of [GUESSED_IDS, undefined]) {
      const inputs = inputsFor(session.signature, bounds, below)
      if (inputs === undefined) return undefined
      const outputs = await outputsOf(session, inputs, signal)
      if (outputs !== undefined) return { inputs, outputs, roundsFreely: roundsFreely(planOf(artifact.bytes)) }
    }
    return undefined
  } finally {
    session.dispose()
  }
}

/** Undefined where the model does not run on the inputs. */
export async function outputsOf(
  session: Session,
  inputs: readonly FixedInput[],
  signal: AbortSignal,
): Promise<Tensors | undefined> {
  try {
    return await session.run(fixedInputs(inputs), { signal })
  } catch (error) {
    if (REFUSALS.some((code) => isVergeError(error, code))) return undefined
    throw error
  }
}

/** The model takes other inputs, or more memory than there is. */
const REFUSALS = ['run_rejected', 'invalid_tensor', 'integer_too_large', 'engine_full', 'run_too_large'] as const

function planOf(artifact: Uint8Array): Plan {
  const header = readHeader(artifact)
  return checkPlan(readPlanJson(artifact, header), header.imageBytes)
}

/** @param guessed how many values ids have whose table is not found; 1 alone if left out */
function inputsFor(
  signature: Signature,
  bounds: ReadonlyMap<string, number>,
  guessed: number | undefined,
): FixedInput[] | undefined {
  const shapes = inputShapes(signature, { batch: 1, length: LENGTH })
  if (elementsOf(shapes) > MOST_ELEMENTS) return undefined
  const inputs: FixedInput[] = []
  for (const spec of signature.inputs) {
    const { name, datatype } = spec
    if (datatype === null || datatype === 'BYTES') return undefined
    const isPixel = datatype === 'UINT8' && isPicture(spec)
    const below = bounds.get(name) ?? (isPixel ? SHADES : /ids/i.test(name) ? guessed : undefined)
    inputs.push({ name, datatype, shape: [...(shapes.get(name) ?? [])], ...(below !== undefined && { below }) })
  }
  return inputs
}
