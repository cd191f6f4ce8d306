import { type Context, Hono } from 'hono'
import { authorize } from '../../access/authorize.ts'
import type { Alias } from '../../catalog/alias.ts'
import type { Manifest } from '../../catalog/manifest.ts'
import { paceOf, readBody } from '../../core/body.ts'
import { VergeError } from '../../core/errors.ts'
import { parseJson } from '../../core/json.ts'
import type { TensorSpec } from '../../core/tensors.ts'
import { validate } from '../../core/validation.ts'
import {
  findModel,
  refusedCredential,
  resolveVersion,
  resourceOf,
  seenModel,
  visibleModel,
  visibleVersions,
} from '../../inference/access.ts'
import { type ConfigTensor, configDatatype, type ModelConfig } from '../../protocols/oip/config.ts'
import type { ModelStats, StatisticsAnswer } from '../../protocols/oip/statistics.ts'
import { repositoryLoadRequestSchema } from '../../protocols/oip/wire.ts'
import type { Residence, ResolvedModel } from '../../serving/serving.ts'
import type { Duration } from '../../serving/statistics.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { accessOf } from '../inference.ts'
import { modelNamed } from '../model-names.ts'

/**
 * Triton's extensions for whoever runs the server: configuration, statistics, and models loaded and unloaded by hand. To
 * load a model is to pin it in this process, to unload it is to let its weights go: the next request loads them again.
 */
export function residenceRoutes(deps: AppDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  const access = (c: Context<AppEnv>) => accessOf(deps, c)
  const named = (c: Context<AppEnv>) => modelNamed(c.req.param('model') ?? '', deps.config.modelNames)
  for (const model of ['/v2/models/:model', '/v2/models/:model/versions/:version'] as const) {
    app.get(`${model}/config`, async (c) => {
      const { alias, manifest } = await findModel(access(c), named(c), c.req.param('version'))
      return c.json(modelConfig(manifest, visibleVersions(c.get('caller'), alias), c.req.param('model') ?? ''))
    })
    app.get(`${model}/stats`, async (c) => {
      const version = c.req.param('version')
      const alias = await seenModel(access(c), named(c))
      const residence = granted(deps, c, 'metrics', alias)
      const versions = version === undefined ? alias.live.map((live) => live.version) : [version]
      const stats: ModelStats[] = []
      for (const each of versions) {
        stats.push(modelStats(residence, await resolveVersion(access(c), alias, each), c.req.param('model') ?? ''))
      }
      return c.json({ model_stats: stats } satisfies StatisticsAnswer)
    })
  }
  app.post('/v2/repository/models/:model/load', async (c) => {
    const alias = await visibleModel(access(c), named(c))
    const residence = granted(deps, c, 'admin', alias)
    await readLoadRequest(deps, c)
    for (const { version } of alias.live) {
      await residence.pin(await resolveVersion(access(c), alias, version), c.get('context'))
    }
    return c.body(null, 200)
  })
  app.post('/v2/repository/models/:model/unload', async (c) => {
    const alias = await visibleModel(access(c), named(c))
    const residence = granted(deps, c, 'admin', alias)
    await readLoadRequest(deps, c)
    for (const { version } of alias.live) residence.evict(await resolveVersion(access(c), alias, version))
    return c.body(null, 200)
  })
  return app
}

/** @throws unauthorized, forbidden */
function granted({ residence }: AppDeps, c: Context<AppEnv>, action: 'metrics' | 'admin', alias: Alias): Residence {
  const caller = c.get('caller')
  if (authorize(caller, resourceOf(alias), action) && residence !== undefined) return residence
  const who = `only the operator${action === 'metrics' ? ', and keys that allow "metrics",' : ''} may do this`
  throw caller.kind === 'anonymous'
    ? (refusedCredential(caller, who) ?? new VergeError('unauthorized', `Send a key: ${who}.`))
    : new VergeError('forbidden', `Send another key: ${who}.`)
}

/** A body may be left out; what Triton's clients put into it changes nothing here, or is refused. @throws invalid_request */
async function readLoadRequest(deps: AppDeps, c: Context<AppEnv>): Promise<void> {
  const { signal } = c.get('context')
  const body = await readBody(c.req.raw, { maxBytes: deps.limits.inferenceHeaderBytes, signal, pace: paceOf(deps) })
  if (body.length > 0) validate(repositoryLoadRequestSchema, parseJson(body, deps.limits), 'The request')
}

function modelConfig({ inputs, outputs, task }: Manifest, versions: readonly string[], name: string): ModelConfig {
  return {
    name,
    platform: 'onnxruntime_onnx',
    backend: 'onnxruntime',
    version_policy: { specific: { versions } },
    max_batch_size: 0,
    input: inputs.flatMap(configTensor),
    output: outputs.flatMap(configTensor),
    parameters: task === undefined ? {} : { task: { string_value: task } },
  }
}

function configTensor({ datatype, name, shape }: TensorSpec): ConfigTensor[] {
  if (datatype === null) return []
  const dims = shape.map((dimension) => (typeof dimension === 'number' ? dimension : -1))
  return [{ name, data_type: configDatatype(datatype), dims }]
}

function modelStats(residence: Residence, model: ResolvedModel, name: string): ModelStats {
  const { cacheHit, cacheMiss, executions, fail, inferences, lastMs, queue, run, success } = residence.statistics(model)
  return {
    name,
    version: model.manifest.version,
    last_inference: lastMs,
    inference_count: inferences,
    execution_count: executions,
    inference_stats: {
      success: nanoseconds(success),
      fail: nanoseconds(fail),
      queue: nanoseconds(queue),
      compute_infer: nanoseconds(run),
      cache_hit: nanoseconds(cacheHit),
      cache_miss: nanoseconds(cacheMiss),
    },
  }
}

function nanoseconds({ count, ms }: Duration) {
  return { count, ns: Math.round(ms * 1e6) }
}
