import type { Context } from 'hono'
import type { Manifest } from '../../catalog/manifest.ts'
import { VergeError } from '../../core/errors.ts'
import { refuseManyItems, validate } from '../../core/validation.ts'
import { type AdmittedModel, ModelRunner } from '../../inference/model-runner.ts'
import {
  type OllamaEmbedAnswer,
  type OllamaEmbedRequest,
  ollamaEmbeddingsRequestSchema,
  ollamaEmbedRequestSchema,
} from '../../protocols/ollama/embedding.ts'
import { readEmbeddings } from '../../protocols/openai/read-answer.ts'
import { embedsTexts } from '../../tasks/text/embedding-models.ts'
import { TextReader } from '../../tasks/text/reading.ts'
import { checkTexts, fieldIn } from '../../tasks/text/texts.ts'
import { embedVectors } from '../../tasks/vectors/vectors.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { jsonOf, refusedByOrigin, unusableAnswer } from '../generation/origin-answer.ts'
import { withPlacementHeaders } from '../inference.ts'
import { type Translation, withModelInBody } from '../model-in-body.ts'

/** Vectors of texts, wherever they were made. */
interface Embedded {
  readonly vectors: readonly (readonly number[])[]
  readonly tokens: number
}

interface Request {
  readonly model: string
  readonly texts: readonly string[]
  /** Where a text stands in the request. */
  readonly field: (place: number) => string
  readonly truncate: boolean
  readonly dimensions: number | undefined
}

/** `POST /api/embed`: vectors of length 1, one for each text. No text at all: Ollama loads the model then. */
export function embed(deps: AppDeps, c: Context<AppEnv>): Promise<Response> {
  const begun = deps.clock.now()
  const read = (body: unknown): Request => {
    const request = validate(ollamaEmbedRequestSchema, body, 'The request')
    const { dimensions, input, model, truncate } = request
    return {
      model,
      texts: textsOf(input),
      field: fieldIn('input', Array.isArray(input)),
      truncate: truncate ?? true,
      dimensions: dimensions ?? undefined,
    }
  }
  return embedded(
    deps,
    c,
    read,
    ({ model }, { tokens, vectors }): OllamaEmbedAnswer => ({
      model,
      embeddings: vectors,
      total_duration: (deps.clock.now() - begun) * NANOSECONDS,
      load_duration: 0,
      prompt_eval_count: tokens,
    }),
  )
}

/** `POST /api/embeddings`: the vector of one text, by Ollama's older address. */
export function embeddings(deps: AppDeps, c: Context<AppEnv>): Promise<Response> {
  const read = (body: unknown): Request => {
    const { model, prompt } = validate(ollamaEmbeddingsRequestSchema, body, 'The request')
    return { model, texts: textsOf(prompt), field: fieldIn('prompt', false), truncate: true, dimensions: undefined }
  }
  return embedded(deps, c, read, (_, { vectors: [vector = []] }) => ({ embedding: vector }))
}

const NANOSECONDS = 1_000_000

/** How far from 1 a vector's length is that an origin has brought to it, by its own rounding. */
const ROUNDING = 0.001

/** A vector as Ollama answers it, of an origin that may keep the lengths that its model gives. */
function ofUnitLength(vector: readonly number[]): readonly number[] {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0))
  if (length === 0 || Math.abs(length - 1) < ROUNDING) return vector
  return vector.map((value) => value / length)
}

function textsOf(input: OllamaEmbedRequest['input']): readonly string[] {
  if (typeof input !== 'string') return input ?? []
  return input === '' ? [] : [input]
}

function embedded(
  deps: AppDeps,
  c: Context<AppEnv>,
  read: (body: unknown) => Request,
  answer: (request: Request, embedded: Embedded) => object,
): Promise<Response> {
  const { limits } = deps
  const readFor = (body: unknown, manifest: Manifest): Request => {
    if (!embedsTexts(manifest)) throw makesNone(manifest)
    refuseManyItems(body, limits.requestItems)
    const request = read(body)
    checkTexts(request.texts, request.field, limits)
    return request
  }
  const work = async (admitted: AdmittedModel, body: unknown): Promise<Response> => {
    const request = readFor(body, admitted.model.manifest)
    const { dimensions, field, texts, truncate } = request
    const runner = new ModelRunner(deps, admitted, c.get('context'))
    runner.prefetch(TextReader.files(admitted.model.manifest))
    if (texts.length === 0) return c.json(answer(request, { vectors: [], tokens: 0 }))
    const options = { dimensions, field, normalize: true, truncate }
    const embedder = { model: runner.model, limits, run: runner.run }
    const { dense = [], total } = await embedVectors(texts, ['dense'], options, embedder)
    const written = answer(request, { vectors: dense.map((vector) => Array.from(vector)), tokens: total })
    return withPlacementHeaders(c.json(written), runner)
  }
  const translation: Translation = (body, { manifest }) => {
    const request = readFor(body, manifest)
    const { dimensions, texts, truncate } = request
    // Other servers cut long texts or refuse them as they are set up: they cannot be asked to refuse them.
    if (texts.length === 0 || !truncate) return undefined
    return {
      path: '/v1/embeddings',
      body: { model: manifest.model, input: texts, ...(dimensions !== undefined && { dimensions }) },
      streamed: false,
      answer: async (response) => {
        if (!response.ok) return refusedByOrigin(response)
        const vectors = readEmbeddings(await jsonOf(response, limits.originTensorBytes))
        if (vectors?.vectors.length !== texts.length) throw unusableAnswer()
        return c.json(answer(request, { ...vectors, vectors: vectors.vectors.map(ofUnitLength) }))
      },
    }
  }
  return withModelInBody(deps, c, 'openai', work, { anyMediaType: true, translation })
}

function makesNone({ model }: Pick<Manifest, 'model'>): VergeError {
  return new VergeError(
    'task_mismatch',
    `Model "${model}" does not make embeddings. GET /openapi.json shows the task of each model.`,
    { details: { field: 'model' } },
  )
}
