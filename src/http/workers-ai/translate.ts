import * as z from 'zod'
import type { Manifest } from '../../catalog/manifest.ts'
import { VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import { isObject } from '../../core/objects.ts'
import { refuseManyItems, validate } from '../../core/validation.ts'
import type { ForwardRoute } from '../../placement/placement.ts'
import {
  classificationSchema,
  contextsSchema,
  embeddingSchema,
  promptedEmbeddingSchema,
  rankingSchema,
  similaritySchema,
} from '../../protocols/workers-ai/requests.ts'
import type { BoundTask, TaskBody, Tasks } from '../../tasks/task.ts'
import { embedsTexts } from '../../tasks/text/embedding-models.ts'
import { settingsOf } from '../../tasks/vectors/embedding-output.ts'
import type { FieldNames } from './fields.ts'
import { fileOf } from './files.ts'

/** What an origin is asked for, in words that it knows. */
export interface AskedOfOrigin {
  readonly route: ForwardRoute
  readonly path: string
  readonly body: unknown
}

/** A request of Workers AI in Verge's own words, and the way back. */
export interface Translation {
  readonly task: BoundTask
  readonly body: TaskBody
  /** Absent where an origin can be given tensors alone. */
  readonly asked?: AskedOfOrigin
  /** Absent where the task's body is the request's own. */
  readonly fields?: FieldNames
  /** Workers AI's result, from the task's answer or the origin's. @throws origin_failed */
  result(answer: unknown): unknown
}

export interface Translating {
  readonly tasks: Tasks
  readonly limits: Pick<Limits, 'requestItems' | 'imageBytes'>
}

/** The route by which origins that speak other protocols can be asked for what a model does. */
export function routeFor(manifest: Pick<Manifest, 'task'>): ForwardRoute {
  if (embedsTexts(manifest)) return 'openai'
  return manifest.task === 'text-ranking' ? 'rerank' : 'task'
}

/**
 * What Workers AI's inputs ask of a model, by the model's task. A model whose task Workers AI does not have takes Verge's
 * own body, `{"inputs": ..., "parameters": {...}}`.
 * @param own the model's task
 * @throws invalid_request, input_too_large, task_mismatch
 */
export function translated(inputs: unknown, own: BoundTask, manifest: Manifest, deps: Translating): Translation {
  if (own.name === 'image-classification' || own.name === 'object-detection') {
    const body = fileOf(inputs, 'image', deps.limits.imageBytes)
    return { task: own, body, ...asTask(manifest, body), fields: [[/^inputs/, 'image']], result: same }
  }
  refuseManyItems(inputs, deps.limits.requestItems)
  if (isObject(inputs) && 'requests' in inputs) {
    throw new VergeError('not_implemented', 'Batches are not implemented yet. Send the requests one by one.')
  }
  if (embedsTexts(manifest)) return ofVectors(inputs, manifest, deps.tasks)
  if (own.name === 'text-ranking') return ofRanking(inputs, manifest, deps.tasks)
  if (own.name === 'text-classification') {
    const { text } = validate(classificationSchema, inputs, 'The request')
    const body = json({ inputs: text })
    return { task: own, body, ...asTask(manifest, body), fields: [[/^inputs/, 'text']], result: same }
  }
  const body = json(inputs)
  return { task: own, body, ...asTask(manifest, body), result: same }
}

const same = (answer: unknown): unknown => answer

function json(value: unknown): TaskBody {
  return { kind: 'json', value }
}

/** The same to an origin of our own. */
function asTask({ model }: Manifest, body: TaskBody): { readonly asked: AskedOfOrigin } {
  return { asked: { route: 'task', path: `/run/${model}`, body: body.kind === 'json' ? body.value : body.bytes } }
}

/** What a model that embeds texts is asked for: vectors, an order, or how near texts are. */
function ofVectors(inputs: unknown, manifest: Manifest, tasks: Tasks): Translation {
  if (isObject(inputs)) {
    if ('query' in inputs) return ofRanking(inputs, manifest, tasks)
    if ('source' in inputs) return ofSimilarity(inputs, tasks)
    if ('contexts' in inputs) {
      const { contexts, truncate_inputs: truncate } = validate(contextsSchema, inputs, 'The request')
      const texts = contexts.map(({ text }) => text)
      return {
        ...ofEmbedding(texts, { truncate }, 'response', manifest, tasks),
        fields: [[/^inputs(\[\d+\])/, 'contexts$1.text']],
      }
    }
    if ('queries' in inputs || 'documents' in inputs) return ofPrompted(inputs, manifest, tasks)
  }
  const { pooling, text, truncate_inputs: truncate } = validate(embeddingSchema, inputs, 'The request')
  const own = settingsOf(manifest).pooling
  if (pooling !== undefined && pooling !== own) {
    throw new VergeError(
      'invalid_request',
      `The request, field "pooling": model "${manifest.model}" pools by "${own}". Remove the field, or push the model with the other pooling.`,
      { details: { field: 'pooling' } },
    )
  }
  return { ...ofEmbedding(text, { truncate }, 'data', manifest, tasks), fields: [fieldOf('text', text)] }
}

/** Texts of one kind, with the prompt that the model has for it. */
function ofPrompted(inputs: unknown, manifest: Manifest, tasks: Tasks): Translation {
  const { documents, queries } = validate(promptedEmbeddingSchema, inputs, 'The request')
  const { prompts = {} } = settingsOf(manifest)
  const wanted = queries === undefined ? ['document', 'passage', 'corpus'] : ['query']
  const prompt = wanted.find((name) => Object.hasOwn(prompts, name))
  const sent = queries ?? documents ?? []
  const fields = [fieldOf(queries === undefined ? 'documents' : 'queries', sent)]
  return { ...ofEmbedding(sent, { prompt_name: prompt }, 'data', manifest, tasks), fields }
}

/** The field that texts came in, which the task has as a list. */
function fieldOf(name: string, sent: string | readonly string[]): FieldNames[number] {
  return typeof sent === 'string' ? [/^inputs\[0\]/, name] : [/^inputs/, name]
}

interface EmbeddingWishes {
  readonly truncate?: boolean | undefined
  readonly prompt_name?: string | undefined
}

const vectorsSchema = z.array(z.array(z.number()))
const originVectorsSchema = z.object({ data: z.array(z.object({ index: z.number(), embedding: z.array(z.number()) })) })

function ofEmbedding(
  text: string | readonly string[],
  wishes: EmbeddingWishes,
  field: 'data' | 'response',
  manifest: Manifest,
  tasks: Tasks,
): Translation {
  const { model } = manifest
  const { pooling } = settingsOf(manifest)
  if (pooling === 'none') {
    throw new VergeError('task_mismatch', `Model "${model}" makes no vector per text. Use POST /run/${model}.`)
  }
  const parameters = Object.fromEntries(Object.entries(wishes).filter(([, value]) => value !== undefined))
  const texts = typeof text === 'string' ? [text] : text
  // OpenAI's protocol has no fields for wishes.
  const plain = Object.keys(parameters).length === 0
  return {
    task: tasks['feature-extraction'],
    body: json({ inputs: texts, parameters }),
    ...(plain && { asked: { route: 'openai', path: '/v1/embeddings', body: { model, input: texts } } }),
    result(answer) {
      const vectors = Array.isArray(answer) ? checked(vectorsSchema, answer) : inOrder(answer)
      return { shape: [vectors.length, vectors[0]?.length ?? 0], [field]: vectors, pooling }
    },
  }
}

function inOrder(answer: unknown): number[][] {
  const { data } = checked(originVectorsSchema, answer)
  return [...data].sort((a, b) => a.index - b.index).map(({ embedding }) => embedding)
}

function ofSimilarity(inputs: unknown, tasks: Tasks): Translation {
  const { sentences, source } = validate(similaritySchema, inputs, 'The request')
  const body = json({ inputs: { source_sentence: source, sentences } })
  const fields: FieldNames = [
    [/^inputs\.source_sentence/, 'source'],
    [/^inputs\./, ''],
  ]
  return { task: tasks['sentence-similarity'], body, fields, result: same }
}

const rankedSchema = z.array(z.object({ index: z.number(), score: z.number() }))
const originRankedSchema = z.object({
  results: z.array(z.object({ index: z.number(), relevance_score: z.number() })),
})

function ofRanking(inputs: unknown, manifest: Manifest, tasks: Tasks): Translation {
  const { contexts, query, top_k: most } = validate(rankingSchema, inputs, 'The request')
  const texts = contexts.map(({ text }) => text)
  const top = most === undefined ? {} : { top_n: most }
  const body = { model: manifest.model, query, documents: texts, ...top }
  return {
    task: tasks['text-ranking'],
    body: json({ inputs: { query, texts }, parameters: top }),
    fields: [
      [/^inputs\.query/, 'query'],
      [/^inputs\.texts(\[\d+\])/, 'contexts$1.text'],
    ],
    ...(manifest.task === 'text-ranking' && { asked: { route: 'rerank', path: '/rerank', body } }),
    result(answer) {
      const ranked = Array.isArray(answer)
        ? checked(rankedSchema, answer).map(({ index, score }) => ({ id: index, score }))
        : checked(originRankedSchema, answer).results.map((each) => ({ id: each.index, score: each.relevance_score }))
      return { response: ranked }
    },
  }
}

/** What a task or an origin answered, in the shape that it has. @throws origin_failed */
function checked<T>(schema: z.ZodType<T>, answer: unknown): T {
  return validate(schema, answer, 'The answer', 'origin_failed')
}
