import type { Context } from 'hono'
import type { Alias } from '../../catalog/alias.ts'
import type { Artifact, Manifest } from '../../catalog/manifest.ts'
import { paceOf, readBody } from '../../core/body.ts'
import { isVergeError, VergeError } from '../../core/errors.ts'
import { parseJson } from '../../core/json.ts'
import { validate } from '../../core/validation.ts'
import { type Access, visibleModel, visibleModels } from '../../inference/access.ts'
import {
  type OllamaDetails,
  type OllamaLoadedModel,
  type OllamaModel,
  type OllamaShowAnswer,
  ollamaShowRequestSchema,
} from '../../protocols/ollama/models.ts'
import { embedsTexts } from '../../tasks/embedding-models.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { accessOf } from '../inference.ts'
import { modelNamed } from '../model-names.ts'
import { mainVersion, modelCard } from '../models/describe.ts'

interface Listed {
  readonly alias: Alias
  readonly manifest: Manifest
}

/** `GET /api/tags`: the models that the caller may see, each as `name:latest`. */
export async function listModels(deps: AppDeps, c: Context<AppEnv>): Promise<Response> {
  return c.json({ models: (await listed(deps, accessOf(deps, c))).map(modelOf) })
}

/** `GET /api/ps`: those of them whose weights are in the memory of the isolate that answers. */
export async function loadedModels(deps: AppDeps, c: Context<AppEnv>): Promise<Response> {
  const loaded = (await listed(deps, accessOf(deps, c))).flatMap((model): OllamaLoadedModel[] => {
    const artifact = model.manifest.artifacts.find((each) => deps.serving.loaded(each))
    if (artifact === undefined) return []
    const { modified_at: _, ...said } = modelOf(model)
    // Nothing expires: a model stays until another one needs its memory, or the isolate ends.
    return [{ ...said, details: detailsOf(artifact), expires_at: NEVER, size_vram: 0 }]
  })
  return c.json({ models: loaded })
}

/** As Ollama writes it for a model that is never to be unloaded. */
const NEVER = '2318-01-01T00:00:00.000Z'

/** `POST /api/show`: one model. */
export async function showModel(deps: AppDeps, c: Context<AppEnv>): Promise<Response> {
  const access = accessOf(deps, c)
  const { limits } = deps
  const bytes = await readBody(c.req.raw, {
    maxBytes: limits.inferenceHeaderBytes,
    signal: access.context.signal,
    pace: paceOf(deps),
  })
  const { model, name } = validate(ollamaShowRequestSchema, parseJson(bytes, limits), 'The request')
  const asked = model ?? name
  if (asked === undefined || asked === '') {
    throw new VergeError(
      'invalid_request',
      'The request, field "model": a model\'s name is needed. GET /api/tags lists those that there are.',
      { details: { field: 'model' } },
    )
  }
  const alias = await visibleModel(access, modelNamed(asked, deps.config.modelNames))
  const { manifest } = await access.serving.resolve(alias, mainVersion(alias), access.context)
  return c.json(shown({ alias, manifest }))
}

/** One model that cannot be read must not cost the caller the list of all others. */
async function listed(deps: AppDeps, access: Access): Promise<Listed[]> {
  const models: Listed[] = []
  for (const alias of await visibleModels(access)) {
    try {
      const { manifest } = await access.serving.resolve(alias, mainVersion(alias), access.context)
      models.push({ alias, manifest })
    } catch (error) {
      if (!isVergeError(error) || access.context.signal.aborted) throw error
      deps.logger.warn('model_left_out_of_list', { model: alias.model, code: error.code, message: error.message })
    }
  }
  return models
}

function modelOf({ alias, manifest }: Listed): OllamaModel {
  const name = `${manifest.model}:latest`
  return {
    name,
    model: name,
    modified_at: modifiedAt(alias, manifest),
    size: modelCard(alias, manifest, { origins: false, downloads: false }).bytes,
    digest: alias.versions[manifest.version] ?? '',
    details: detailsOf(manifest.artifacts[0]),
  }
}

function modifiedAt({ created }: Alias, { version }: Manifest): string {
  return new Date((created?.[version] ?? 0) * 1000).toISOString()
}

/** A manifest knows neither a model's family nor how many parameters it has. */
function detailsOf(artifact: Artifact | undefined): OllamaDetails {
  return {
    parent_model: '',
    format: artifact?.format ?? '',
    family: '',
    families: [],
    parameter_size: '',
    quantization_level: artifact?.dtype ?? '',
  }
}

function shown({ alias, manifest }: Listed): OllamaShowAnswer {
  const { generation, licence, task, text } = manifest
  const context = generation?.contextLength ?? text?.maxTokens
  return {
    ...(licence !== undefined && { license: licence }),
    modelfile: '',
    parameters: '',
    template: '',
    details: detailsOf(manifest.artifacts[0]),
    model_info: {
      'general.architecture': ARCHITECTURE,
      'general.basename': manifest.model,
      ...(context !== undefined && { [`${ARCHITECTURE}.context_length`]: context }),
    },
    capabilities: task === 'text-generation' ? ['completion'] : embedsTexts(manifest) ? ['embedding'] : [],
    modified_at: modifiedAt(alias, manifest),
  }
}

/** Clients look for other facts behind this word. */
const ARCHITECTURE = 'onnx'
