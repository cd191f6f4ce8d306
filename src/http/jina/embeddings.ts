import { VergeError } from '../../core/errors.ts'
import { validate } from '../../core/validation.ts'
import {
  type JinaEncodings,
  type JinaTask,
  jinaEmbeddingsRequestSchema,
  jinaMultiVectorRequestSchema,
} from '../../protocols/jina/wire.ts'
import { encodeVector } from '../../protocols/vector-encoding.ts'
import { assertCan } from '../../tasks/text/abilities.ts'
import { limitsFor } from '../../tasks/vectors/answers.ts'
import { inputsOf, type Purpose, promptFor } from '../../tasks/vectors/embedding-inputs.ts'
import { settingsOf } from '../../tasks/vectors/embedding-output.ts'
import { embedVectors, type TokenVectors } from '../../tasks/vectors/vectors.ts'
import type { TextCall } from '../text-call.ts'
import { textsOf } from './texts.ts'

/** `POST /v1/embeddings`. */
export async function embeddings(call: TextCall, body: unknown): Promise<unknown> {
  assertCan(call.manifest, 'embed')
  const request = validate(jinaEmbeddingsRequestSchema, body, 'The request')
  const { inputs, field } = inputsOf(textsOf(request.input, 'input'), 'input', call.limits)
  const { dimensions, embedding_type: encodings, late_chunking: late, normalized, task } = request
  const prompt = request.prompt_name ?? promptForTask(call, task)
  const kind = request.return_multivector ? 'tokens' : 'dense'
  call.accepted()
  const wanted = encodings ?? request.encoding_format ?? 'float'
  const made = await embedVectors(
    inputs,
    [kind],
    {
      field,
      // All texts are one there: what does not fit has no vector.
      ...(late ? { late_chunking: true } : { truncate: request.truncate ?? false }),
      ...(dimensions !== undefined && { dimensions }),
      ...(normalized !== undefined && { normalize: normalized }),
      ...(prompt !== undefined && { prompt_name: prompt }),
    },
    withRoomFor(wanted, call),
  )
  const data =
    kind === 'tokens'
      ? (made.tokens ?? []).map((each, index) => manyOf(each, index, wanted))
      : (made.dense ?? []).map((vector, index) => ({
          object: 'embedding',
          index,
          embedding: encoded(vector, wanted),
        }))
  return { model: call.asked, object: 'list', usage: usageOf(made.total), data }
}

/** `POST /v1/multi-vector`. */
export async function multiVector(call: TextCall, body: unknown): Promise<unknown> {
  assertCan(call.manifest, 'embed')
  const request = validate(jinaMultiVectorRequestSchema, body, 'The request')
  const { inputs, field } = inputsOf(textsOf(request.input, 'input'), 'input', call.limits)
  const { dimensions, embedding_type: encodings = 'float' } = request
  const prompt = promptFor(call.manifest, request.input_type === 'query' ? 'query' : 'passage')
  call.accepted()
  const { tokens = [], total } = await embedVectors(
    inputs,
    ['tokens'],
    {
      field,
      truncate: request.truncate ?? true,
      ...(dimensions !== undefined && { dimensions }),
      ...(prompt !== undefined && { prompt_name: prompt }),
    },
    withRoomFor(encodings, call),
  )
  return {
    model: call.asked,
    object: 'list',
    usage: usageOf(total),
    data: tokens.map((each, index) => manyOf(each, index, encodings)),
  }
}

/** What a task is, by the names that models give their prompts. */
const PURPOSES: Readonly<Partial<Record<JinaTask, Purpose>>> = {
  'retrieval.query': 'query',
  'retrieval.passage': 'passage',
  'text-matching': 'matching',
  classification: 'classification',
  separation: 'clustering',
}

/** The prompt of a task: of its own name, or of one that means the same. @throws invalid_request where there is none */
function promptForTask({ manifest }: TextCall, task: JinaTask | undefined): string | undefined {
  if (task === undefined) return undefined
  const { prompts = {} } = settingsOf(manifest)
  if (Object.hasOwn(prompts, task)) return task
  const purpose = PURPOSES[task]
  // A model that was trained for one task alone serves it without a prompt; for code it has to say how.
  if (purpose !== undefined) return promptFor(manifest, purpose)
  throw new VergeError('invalid_request', `Model "${manifest.model}" has no prompt for the task "${task}".`, {
    details: { field: 'task', prompts: Object.keys(prompts) },
  })
}

function withRoomFor(encodings: JinaEncodings, call: TextCall): TextCall {
  return Array.isArray(encodings) ? { ...call, limits: limitsFor(encodings.length, call.limits) } : call
}

/** A vector in one encoding, or in several by their names. */
function encoded(vector: Float32Array, encodings: JinaEncodings) {
  if (!Array.isArray(encodings)) return encodeVector(vector, encodings)
  return Object.fromEntries(encodings.map((encoding) => [encoding, encodeVector(vector, encoding)]))
}

function manyOf({ values, width }: TokenVectors, index: number, encodings: JinaEncodings) {
  const count = values.length / width
  const embeddings = Array.from({ length: count }, (_, i) =>
    encoded(values.subarray(i * width, (i + 1) * width), encodings),
  )
  return { object: 'embeddings', index, embeddings }
}

export function usageOf(tokens: number) {
  return { total_tokens: tokens, prompt_tokens: tokens }
}
