import type { Context } from 'hono'
import * as z from 'zod'
import type { Alias } from '../../catalog/alias.ts'
import type { Manifest } from '../../catalog/manifest.ts'
import { isVergeError } from '../../core/errors.ts'
import { validate } from '../../core/validation.ts'
import { visibleModels } from '../../inference/access.ts'
import { type WorkersAiModel, wrapped } from '../../protocols/workers-ai/envelope.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { accessOf } from '../inference.ts'
import { mainVersion } from '../models/describe.ts'

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

/** `GET ai/models/search`: the models that the caller may see, by each of their names. */
export async function searchModels(deps: AppDeps, c: Context<AppEnv>): Promise<Response> {
  const wanted = validate(searchSchema, c.req.query(), 'The query')
  const models: WorkersAiModel[] = []
  for (const alias of await visibleModels(accessOf(deps, c))) {
    const manifest = await manifestOf(deps, c, alias)
    if (manifest === undefined) continue
    for (const name of namesOf(alias.model, deps)) models.push(describe(name, manifest))
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

/** One model that cannot be read must not cost the caller the list of all others. */
async function manifestOf(deps: AppDeps, c: Context<AppEnv>, alias: Alias): Promise<Manifest | undefined> {
  const { context, serving } = accessOf(deps, c)
  try {
    return (await serving.resolve(alias, mainVersion(alias), context)).manifest
  } catch (error) {
    if (!isVergeError(error) || context.signal.aborted) throw error
    return undefined
  }
}

function describe(name: string, { description = '', model, task = 'tensors', version }: Manifest): WorkersAiModel {
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
