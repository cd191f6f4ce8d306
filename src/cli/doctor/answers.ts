import { isVergeError } from '../../core/errors.ts'
import { MODEL_HEADER, PLACE_HEADER, PLACEMENT_HEADER } from '../../core/headers.ts'
import { LIMITS } from '../../core/limits.ts'
import { elementCount, type Tensors } from '../../core/tensors.ts'
import { JSON_LENGTH_HEADER } from '../../protocols/oip/headers.ts'
import { type ArtifactAnswer, artifactAnswerSchema } from '../../protocols/oip/wire.ts'
import { answerDigest, fixedInputs } from '../answer/fixed-answer.ts'
import { inferRequest, readOutputs } from '../oip-client.ts'
import { type Check, fail, ok, skip } from './check.ts'
import { remedyFor } from './remedies.ts'
import { codeOf, fieldOf, gist, type Visitor, type VisitorResponse } from './visitor.ts'

/** Artifacts of a version that are asked for: a version has one or two precisions. */
const MOST_ANSWERS = 4

const BETWEEN =
  'Check what lies between here and the Worker: it may change bodies, or remove the header inference-header-content-length.'

const NO_ANSWER =
  'is not compared bit by bit: its manifest has no answer to a fixed input, as where ONNX Runtime runs a model or float ' +
  'convolutions round as the processor does'

/**
 * Checks that the engine where the model runs computes the bits that the packer got: asks the fixed input of each artifact
 * until one of them answers its own.
 * @param metadata of the model, which has the answers
 */
export async function answerBitsCheck(
  area: string,
  visitor: Visitor,
  model: string,
  metadata: VisitorResponse,
): Promise<Check> {
  const answers = answersIn(metadata)
  if (answers.length === 0) return skip(area, NO_ANSWER)
  // With a canary the version may be another one each time.
  const version = metadata.headers.get(MODEL_HEADER)?.split('@')[1]
  for (const answer of answers) {
    const request = inferRequest(model, fixedInputs(answer.inputs), {
      headers: { [PLACE_HEADER]: 'edge', 'cache-control': 'no-store' },
      ...(version !== undefined && { version }),
    })
    const { path, headers, body } = request
    const response = await visitor.ask(path, { method: 'POST', headers, body, asOperator: true })
    const placement = response.headers.get(PLACEMENT_HEADER) ?? ''
    if (response.status === 200 && placement.includes(`artifact="${answer.artifact}"`)) {
      return compared(area, answer, response)
    }
    if (response.status !== 200 && codeOf(response) !== 'placement_impossible') {
      const fix = codeOf(response) === 'invalid_json' ? BETWEEN : remedyFor(response)
      return fail(area, `does not answer the fixed input of its manifest: ${gist(response)}`, fix)
    }
  }
  return skip(area, 'is not compared bit by bit: an artifact answers for which its manifest has no answer')
}

/** None where the server sends something else than Verge's answers, or more than it takes itself. */
function answersIn({ json }: VisitorResponse): readonly ArtifactAnswer[] {
  const found = artifactAnswerSchema.array().safeParse(fieldOf(json, 'answers'))
  const isSendable = ({ inputs }: ArtifactAnswer): boolean =>
    inputs.reduce((sum, { shape }) => sum + elementCount(shape), 0) <= LIMITS.inputElements
  return found.success ? found.data.filter(isSendable).slice(0, MOST_ANSWERS) : []
}

function compared(area: string, { artifact, sha256 }: ArtifactAnswer, response: VisitorResponse): Check {
  const outputs = outputsOf(response)
  if (outputs === undefined) {
    return fail(area, 'answers a fixed input with what is no answer in binary tensors', BETWEEN)
  }
  const digest = answerDigest(outputs)
  if (digest === sha256) return ok(area, `${artifact} answers a fixed input with the same bits as where it was packed`)
  return fail(
    area,
    `${artifact} answers a fixed input with other bits than where it was packed: ${digest.slice(0, 12)}, not ${sha256.slice(0, 12)}`,
    'The engine there computes other numbers. Deploy the Worker again and push the model again, both with the Verge of this ' +
      'machine. If the bits still differ, report it with the model.',
  )
}

function outputsOf({ bytes, headers }: VisitorResponse): Tensors | undefined {
  try {
    return readOutputs(bytes, headers.get(JSON_LENGTH_HEADER))
  } catch (error) {
    if (!isVergeError(error)) throw error
    return undefined
  }
}
