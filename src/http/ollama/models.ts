import type { Context } from 'hono'
import { mayLookUp } from '../../access/authorize.ts'
import type { Alias } from '../../catalog/alias.ts'
import { type ListedArtifact, mainVersion, pushedAt } from '../../catalog/index/entry.ts'
import type { Manifest } from '../../catalog/manifest.ts'
import { paceOf, readBody } from '../../core/body.ts'
import { VergeError } from '../../core/errors.ts'
import { parseJson } from '../../core/json.ts'
import { validate } from '../../core/validation.ts'
import { resourceOf, visibleModel } from '../../inference/access.ts'
import {
  type OllamaDetails,
  type OllamaLoadedModel,
  type OllamaModel,
  type OllamaShowAnswer,
  ollamaShowRequestSchema,
} from '../../protocols/ollama/models.ts'
import { embedsTexts } from '../../tasks/text/embedding-models.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { accessOf } from '../inference.ts'
import { modelNamed } from '../model-names.ts'
import { type ListedModel, linkNext, listedModel, listedModels, partOf } from '../models/list.ts'

/** `GET /api/tags`: the models that the caller may see, each as `name:latest`. */
export async function listModels(deps: AppDeps, c: Context<AppEnv>): Promise<Response> {
  const listed = await listedModels(accessOf(deps, c), partOf(c, deps.limits))
  linkNext(c, listed)
  return c.json({ models: listed.models.map(modelOf) })
}

/** `GET /api/ps`: those of them whose weights are in the memory of the isolate that answers. */
export async function loadedModels(deps: AppDeps, c: Context<AppEnv>): Promise<Response> {
  const access = accessOf(deps, c)
  const { caller, context } = access
  const { serving } = deps
  const loaded: OllamaLoadedModel[] = []
  for (const manifest of serving.held()) {
    const artifact = manifest.artifacts.find((each) => serving.loaded(each))
    const alias = await serving.alias(manifest.model, context)
    if (artifact === undefined || alias === null || !mayLookUp(caller, resourceOf(alias))) continue
    if (mainVersion(alias) !== manifest.version) continue
    const { modified_at: _, ...said } = modelOf(listedModel(alias, manifest))
    // Nothing expires: a model stays until another one needs its memory, or the isolate ends.
    loaded.push({ ...said, details: detailsOf(artifact), expires_at: NEVER, size_vram: 0 })
  }
  return c.json({ models: loaded.sort((a, b) => (a.name < b.name ? -1 : 1)) })
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
  return c.json(shown(alias, manifest))
}

function modelOf({ main, model }: ListedModel): OllamaModel {
  const name = `${model}:latest`
  return {
    name,
    model: name,
    modified_at: modifiedAt(main.created),
    size: main.bytes,
    digest: main.digest,
    details: detailsOf(main.artifacts[0]),
  }
}

function modifiedAt(seconds: number): string {
  return new Date(seconds * 1000).toISOString()
}

/** A manifest knows neither a model's family nor how many parameters it has. */
function detailsOf(artifact: ListedArtifact | undefined): OllamaDetails {
  return {
    parent_model: '',
    format: artifact?.format ?? '',
    family: '',
    families: [],
    parameter_size: '',
    quantization_level: artifact?.dtype ?? '',
  }
}

function shown(alias: Alias, manifest: Manifest): OllamaShowAnswer {
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
    modified_at: modifiedAt(pushedAt(alias, manifest.version)),
  }
}

/** Clients look for other facts behind this word. */
const ARCHITECTURE = 'onnx'
