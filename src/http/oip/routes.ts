import { type Context, Hono } from 'hono'
import { paceOf, readBody } from '../../core/body.ts'
import { findModel, visibleAmong, visibleModels, visibleVersions } from '../../inference/access.ts'
import { withTimeout } from '../../inference/call.ts'
import { chargedTokens } from '../../inference/charged-tokens.ts'
import { assertBatch } from '../../inference/metered.ts'
import { BINARY_EXTENSION, JSON_LENGTH_HEADER, TENSOR_ALIGNMENT } from '../../protocols/oip/headers.ts'
import { readInferRequest, readJsonLength } from '../../protocols/oip/read-request.ts'
import type { ModelReady, ServerMetadata } from '../../protocols/oip/wire.ts'
import { writeInferAnswer } from '../../protocols/oip/write-answer.ts'
import { batchOf } from '../../serving/statistics.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { accessOf, bodyLimit, setPlacementHeaders, withAdmittedModel } from '../inference.ts'
import { modelNamed } from '../model-names.ts'
import { linkNext, partOf } from '../models/list.ts'
import { generateText } from './generate.ts'
import { modelMetadata } from './metadata.ts'
import { checkIndexRequest, repositoryIndex } from './repository.ts'
import { residenceRoutes } from './residence.ts'

/** The Open Inference Protocol, version 2. */
export function oipRoutes(deps: AppDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.get('/v2', (c) => {
    const body: ServerMetadata = {
      name: 'verge',
      version: deps.config.version,
      extensions: [BINARY_EXTENSION, ...EXTENSIONS],
    }
    return c.json(body)
  })
  app.get('/v2/health/live', (c) => c.json({ live: true }))
  app.get('/v2/health/ready', async (c) => {
    const { ok } = await deps.serving.health()
    return c.json({ ready: ok }, ok ? 200 : NOT_READY)
  })
  app.post('/v2/repository/index', async (c) => {
    const { signal } = c.get('context')
    checkIndexRequest(
      await readBody(c.req.raw, { maxBytes: deps.limits.inferenceHeaderBytes, signal, pace: paceOf(deps) }),
      deps.limits,
    )
    const access = accessOf(deps, c)
    const page = await visibleModels(access, { ...partOf(c, deps.limits), manifests: false })
    linkNext(c, page)
    return c.json(repositoryIndex(page.entries, (entry) => visibleAmong(entry.versions, access.caller, entry)))
  })
  for (const model of ['/v2/models/:model', '/v2/models/:model/versions/:version'] as const) {
    app.get(model, async (c) => {
      const resolved = await resolve(deps, c)
      const metadata = modelMetadata(resolved, visibleVersions(c.get('caller'), resolved.alias))
      return c.json({ ...metadata, name: c.req.param('model') ?? '' })
    })
    app.get(`${model}/ready`, async (c) => {
      const resolved = await resolve(deps, c)
      const ready = (await deps.serving.ready(resolved)) || deps.placement?.reaches(resolved) === true
      const body: ModelReady = { name: c.req.param('model') ?? '', ready }
      return c.json(body, ready ? 200 : NOT_READY)
    })
    app.post(`${model}/infer`, (c) => infer(deps, c))
    app.post(`${model}/generate`, (c) => generateText(deps, c, false))
    app.post(`${model}/generate_stream`, (c) => generateText(deps, c, true))
  }
  app.route('/', residenceRoutes(deps))
  return app
}

/** Triton's extensions, by its names. */
const EXTENSIONS = ['generate', 'model_configuration', 'model_repository', 'statistics'] as const

/** The protocol wants a 4xx where the answer is "not ready", and Triton answers this one. */
const NOT_READY = 400

function resolve(deps: AppDeps, c: Context<AppEnv>) {
  return findModel(
    accessOf(deps, c),
    modelNamed(c.req.param('model') ?? '', deps.config.modelNames),
    c.req.param('version'),
  )
}

function infer(deps: AppDeps, c: Context<AppEnv>): Promise<Response> {
  const { limits } = deps
  const context = c.get('context')
  const request = { name: c.req.param('model') ?? '', version: c.req.param('version'), route: 'oip' as const }
  return withAdmittedModel(deps, c, request, async ({ model, runner }, slot) => {
    const jsonLength = readJsonLength(c.req.header(JSON_LENGTH_HEADER), limits.inferenceHeaderBytes)
    const body = await readBody(c.req.raw, {
      maxBytes: bodyLimit(c, limits.requestBodyBytes),
      signal: context.signal,
      accepted: () => runner.prefetch(model, context),
      hold: slot.hold,
      reading: slot.reading,
      pace: paceOf(deps),
      padding: jsonLength === undefined ? 0 : (TENSOR_ALIGNMENT - (jsonLength % TENSOR_ALIGNMENT)) % TENSOR_ALIGNMENT,
    })
    const { envelope, inputs, outputs } = readInferRequest(body, jsonLength, model.manifest, limits)
    const { bounds } = context.ledger ?? {}
    if (bounds?.batch !== undefined) assertBatch(bounds, batchOf(model.manifest, inputs))
    const result = await withTimeout(envelope.parameters?.timeout, context, deps.clock, (within) =>
      chargedTokens(within.ledger, inputs, () => runner.run(model, inputs, outputs, within)),
    )
    const { version } = model.manifest
    const answer = writeInferAnswer(envelope, { name: request.name, version }, result.outputs, limits)
    const response = new Response(answer.body, { headers: { ...answer.headers } })
    setPlacementHeaders(response.headers, result)
    return response
  })
}
