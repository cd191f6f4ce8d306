import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Manifest } from '../../catalog/manifest.ts'
import { PLACEMENT_HEADER, RESULT_CACHE_HEADER } from '../../core/headers.ts'
import { ORIGIN_COMMAND } from '../files/project.ts'
import { digits, essenceOf, type ModelProbe, madeUpProbes, probeFor } from '../local/probe.ts'
import { readDescription } from '../pack/description.ts'
import { percentile } from '../statistics.ts'
import { answerBitsCheck } from './answers.ts'
import { type Check, fail, ok, skip, warn } from './check.ts'
import { downloadChecks } from './downloads.ts'
import { remedyFor } from './remedies.ts'
import { codeOf, fieldOf, gist, type Visitor, type VisitorResponse } from './visitor.ts'

export interface ModelCheckOptions {
  /** Warm requests to each model, one after the other. */
  readonly requests: number
  /** Where models lie that come with samples. */
  readonly modelsFolder: string
}

/** The right answer to a probe of a model that comes with Verge: five.png, and a friendly review. */
const EXPECTED: Readonly<Record<string, string>> = { digits: '5', reviews: 'positive' }

/** More would be a load test. */
export const MOST_MODELS = 8

/** What Verge loads is small; a first answer later than this is felt by a visitor. */
const SLOW_FIRST_MS = 10_000

/** Checks each visible model: its metadata, an answer, and the latency of the first and of warm answers. */
export async function checkModels(
  visitor: Visitor,
  models: readonly string[],
  options: ModelCheckOptions,
): Promise<Check[]> {
  const checks: Check[] = []
  for (const model of models.slice(0, MOST_MODELS)) checks.push(...(await checkModel(visitor, model, options)))
  if (models.length > MOST_MODELS) {
    checks.push(skip('models', `${models.length - MOST_MODELS} more: only the first ${MOST_MODELS} are checked`))
  }
  return checks
}

async function checkModel(visitor: Visitor, model: string, options: ModelCheckOptions): Promise<Check[]> {
  const area = `model ${model}`
  const metadata = await visitor.ask(`/v2/models/${model}`, { asOperator: true })
  if (metadata.status !== 200) return [fail(area, `has no metadata: ${gist(metadata)}`, remedyFor(metadata))]
  const [probe, ...others] = await probesOf(model, metadata, options.modelsFolder)
  if (probe === undefined) return [skip(area, 'is not run: its input is large, and this folder has no sample for it')]
  let [asked, first] = [probe, await post(visitor, probe)]
  for (const other of others) {
    if (!isRejected(first)) break
    ;[asked, first] = [other, await post(visitor, other)]
  }
  // Some models need inputs that cannot be generated. The model exists and runs; only a sample is missing.
  if (others.length > 0 && isRejected(first)) {
    return [
      skip(
        area,
        `is not run: it accepted none of ${others.length + 1} generated inputs, and this folder has no sample for it`,
      ),
    ]
  }
  if (first.status !== 200) return [fail(area, `does not answer: ${gist(first)}`, remedyFor(first))]
  return [
    answerCheck(area, model, first),
    placementCheck(area, first),
    await answerBitsCheck(area, visitor, model, metadata),
    await latencyCheck(area, visitor, asked, first, options),
    ...(await downloadChecks(area, visitor, model)),
  ]
}

/** Requests bypass the result cache, because a cached answer does not test the model. */
function post(visitor: Visitor, { path, contentType, body }: ModelProbe): Promise<VisitorResponse> {
  const headers = { 'content-type': contentType, 'cache-control': 'no-store' }
  return visitor.ask(path, { method: 'POST', headers, body, asOperator: true })
}

function isRejected(answer: VisitorResponse): boolean {
  return answer.status === 400 && codeOf(answer) === 'run_rejected'
}

/**
 * A request for the task if the model's folder is present, else tensors of zeros by the model's metadata, in several
 * shapes for dynamic dimensions.
 */
async function probesOf(model: string, metadata: VisitorResponse, modelsFolder: string): Promise<ModelProbe[]> {
  const folder = join(modelsFolder, model)
  const task = existsSync(join(folder, 'verge.json')) ? (await readDescription(folder)).task : undefined
  const inputs = fieldOf(metadata.json, 'inputs') as Manifest['inputs'] | undefined
  if (!Array.isArray(inputs)) return []
  const manifest = { schema: 1, model, version: '1', inputs, outputs: [], artifacts: [], ...(task && { task }) }
  const probe = await probeFor(manifest, folder)
  const others = madeUpProbes(manifest)
  // For a model without a task or a sample, the first generated request is used.
  return probe === null || probe.body === others[0]?.body ? others : [probe]
}

function answerCheck(area: string, model: string, answer: VisitorResponse): Check {
  const expected = EXPECTED[model]
  const best = Array.isArray(answer.json) ? (answer.json[0] as unknown) : undefined
  const label = fieldOf(best, 'label')
  if (expected === undefined) return ok(area, label === undefined ? 'answers' : `answers "${String(label)}"`)
  const score = fieldOf(best, 'score')
  if (label === expected) return ok(area, `answers "${expected}" to its sample, score ${digits(Number(score))}`)
  const fix = `Another model may be published under this name. Compare GET /v2/models/${model} with models/${model}.`
  return fail(
    area,
    `answers ${JSON.stringify(essenceOf(best ?? answer.json))?.slice(0, 100)} to its sample, not "${expected}"`,
    fix,
  )
}

function placementCheck(area: string, { headers }: VisitorResponse): Check {
  const placement = headers.get(PLACEMENT_HEADER)
  if (placement?.endsWith(';degraded')) {
    return warn(
      area,
      `is answered by a smaller artifact, because no origin answers for it: ${placement}`,
      `Start the origins (${ORIGIN_COMMAND} on this machine), or see docs/origin/troubleshooting.md.`,
    )
  }
  if (placement !== null) return ok(area, `ran at: ${placement}`)
  return warn(
    area,
    'does not report where it ran',
    'A proxy between here and the Worker removes the header verge-placement.',
  )
}

async function latencyCheck(
  area: string,
  visitor: Visitor,
  probe: ModelProbe,
  first: VisitorResponse,
  options: ModelCheckOptions,
): Promise<Check> {
  const times: number[] = []
  for (let i = 0; i < options.requests; i++) {
    const answer = await post(visitor, probe)
    if (answer.status !== 200) {
      return fail(area, `answered the first request, but no later one: ${gist(answer)}`, remedyFor(answer))
    }
    if (answer.headers.get(RESULT_CACHE_HEADER) === 'hit') {
      const fix =
        'A proxy between here and the Worker removes the header cache-control, so the times do not measure the model.'
      return warn(area, 'is answered from the result cache, although the request disabled it', fix)
    }
    times.push(answer.ms)
  }
  const warm = `warm p50 ${percentile(times, 0.5).toFixed(1)} ms, p95 ${percentile(times, 0.95).toFixed(1)} ms (${times.length} requests, each computed)`
  const found = `first answer after ${first.ms.toFixed(0)} ms, ${warm}, measured from here`
  if (first.ms <= SLOW_FIRST_MS) return ok(area, found)
  return warn(area, found, 'Mark the model hot, so that KV serves its weights near the caller, or quantize it.')
}
