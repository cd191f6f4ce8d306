import type { Context } from 'hono'
import * as z from 'zod'
import { validate } from '../../core/validation.ts'
import { type WorkersAiModel, wrapped } from '../../protocols/workers-ai/envelope.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { accessOf } from '../inference.ts'
import { type ListedModel, listedModels } from '../models/list.ts'

/** Workers AI's names for tasks; others are named as here. */
const TASKS: Readonly<Record<string, string>> = {
  'feature-extraction': 'Text Embeddings',
  'sentence-similarity': 'Text Embeddings',
  'text-classification': 'Text Classification',
  // bge-reranker-base is listed as one there.
  'text-ranking': 'Text Classification',
  'text-generation': 'Text Generation',
  'image-classification': 'Image Classification',
  'object-detection': 'Object Detection',
}

const page = z.coerce.number().int().positive()
const searchSchema = z.object({
  search: z.string().max(256).default(''),
  task: z.string().max(256).default(''),
  author: z.string().max(256).default(''),
  page: page.default(1),
  per_page: page.max(1000).default(100),
})

/**
 * `GET ai/models/search`: the models that the caller may see, by each of their names. Of very many, the first ones by name
 * are searched.
 */
export async function searchModels(deps: AppDeps, c: Context<AppEnv>): Promise<Response> {
  const wanted = validate(searchSchema, c.req.query(), 'The query')
  const models: WorkersAiModel[] = []
  const listed = await listedModels(accessOf(deps, c), { limit: deps.limits.modelsPerList })
  for (const each of listed.models) {
    for (const name of namesOf(each.model, deps)) models.push(describe(name, each))
  }
  const found = models.filter(
    ({ description, name, task }) =>
      `${name} ${description}`.toLowerCase().includes(wanted.search.toLowerCase()) &&
      task.name.toLowerCase().includes(wanted.task.toLowerCase()) &&
      name.toLowerCase().includes(wanted.author.toLowerCase()),
  )
  const start = (wanted.page - 1) * wanted.per_page
  const result = found.slice(start, start + wanted.per_page)
  const { page, per_page } = wanted
  return c.json({
    ...wrapped(result),
    result_info: { page, per_page, count: result.length, total_count: found.length },
  })
}

/** The operator's names for a model, and its own. */
function namesOf(model: string, { config }: AppDeps): string[] {
  const others = [...(config.modelNames ?? [])].filter(([, meant]) => meant === model).map(([name]) => name)
  return [...others, model]
}

function describe(name: string, { main, model }: ListedModel): WorkersAiModel {
  const { description = '', task = 'tensors', version } = main
  return {
    id: `${model}@${version}`,
    source: 1,
    name,
    description,
    task: { id: task, name: TASKS[task] ?? task, description: '' },
    tags: [],
    properties: [],
  }
}
