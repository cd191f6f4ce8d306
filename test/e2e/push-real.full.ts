import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BUILT } from '../../scripts/lib/build/build.ts'
import { REPORTS } from '../../scripts/lib/build/ready.ts'
import { readDescription } from '../../scripts/lib/description.ts'
import { type DevServer, startDevServer } from '../../scripts/lib/dev-server.ts'
import { infer } from '../../scripts/lib/oip-client.ts'
import { freePort } from '../../scripts/lib/port.ts'
import { ROOT } from '../../scripts/lib/project.ts'
import { untilListening } from '../../scripts/lib/readiness.ts'
import { Comparison } from '../../scripts/lib/verify/compare.ts'
import { ExerciseWatch } from '../../scripts/lib/verify/exercise.ts'
import { findSamples } from '../../scripts/lib/verify/find.ts'
import { judge } from '../../scripts/lib/verify/judge.ts'
import { outputRanges } from '../../scripts/lib/verify/ranges.ts'
import { referenceSession, tensorOutputs } from '../../scripts/lib/verify/reference.ts'
import { toleranceFor } from '../../scripts/lib/verify/tolerance.ts'
import { decodeModel } from '../../src/onnx/codec.ts'
import { haveRealModels, realModels, SKIP_REASON } from '../fixtures/node/real-models.ts'
import { verge } from '../fixtures/node/verge.ts'
import { never } from '../fixtures/source.ts'

/** Built models and reports lie in the repository's own folder, beside those of a person. */
const OWN = `test-${process.pid}`
const START_MS = 120_000

let folder: string
let server: DevServer

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verge-push-real-'))
  server = startDevServer({ port: await freePort(), persistTo: join(folder, 'state'), onLine: () => {} })
  await untilListening(server, START_MS)
})
afterAll(async () => {
  await server?.stop()
  await rm(folder, { recursive: true, force: true })
})

/** Pushes a model as a person would, and asks the Worker that runs what it was never asked before. */
async function pushAndAsk(name: string, spec: string, modelFile: string, ...args: string[]): Promise<void> {
  const own = `${OWN}-${name}`
  try {
    const push = ['push', spec, '--name', own, '--persist-to', 'state', '--url', server.url, '--json', ...args]
    const { code, stdout, stderr } = await verge(push, { cwd: folder })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const { report, push: result, live } = JSON.parse(stdout)
    expect(report).toMatchObject({ model: own, verification: { ok: true } })
    expect(report.verification.artifacts.some(({ place }: { place: string }) => place === 'edge')).toBe(true)
    expect(report.measured.verdict.fit).toMatch(/^fits/)
    expect(result).toMatchObject({ model: own, generation: 1, visibility: 'public' })
    expect(live).toMatchObject({ url: server.url, answer: expect.stringMatching(/./) })
    const [written] = [BUILT, REPORTS].map((at) => join(at, own, 'report.json')).filter(existsSync)
    expect(JSON.parse(await readFile(written ?? '', 'utf8'))).toEqual(report)
    await compare(own, modelFile, report.artifacts[0].dtype)
  } finally {
    for (const at of [BUILT, REPORTS]) await rm(join(at, own), { recursive: true, force: true })
  }
}

/** Other samples than those that it was verified with, sent by the protocol, against the original in onnxruntime-node. */
async function compare(model: string, modelFile: string, dtype: string): Promise<void> {
  const onnx = new Uint8Array(await readFile(modelFile))
  const original = await referenceSession(onnx, never())
  const outputs = tensorOutputs(original)
  // Inputs of its kind: what a model of speech says of half a window is beside the point.
  const settings = existsSync(join(BUILT, model)) ? (await readDescription(join(BUILT, model))).preprocess : undefined
  const trials = outputs.map((name) => ({
    name,
    comparison: new Comparison(name, { classes: false }),
    watch: new ExerciseWatch(),
  }))
  for (const { inputs } of await findSamples(onnx, { count: 4, seed: 2026, settings, signal: never() })) {
    const expected = await original.run(inputs, { outputs, signal: never() })
    const { outputs: actual } = await infer(server.url, model, inputs, { outputs })
    for (const { name, comparison, watch } of trials) {
      const value = expected.get(name)
      if (value === undefined) continue
      watch.add(value)
      comparison.add(value, actual.get(name))
    }
  }
  original.dispose()
  const ranges = outputRanges(decodeModel(onnx))
  for (const { name, comparison, watch } of trials) {
    const agreement = { ...comparison.result(), top1: null }
    expect(judge(agreement, watch.result(), toleranceFor(dtype), ranges.get(name)).strayings, name).toEqual([])
  }
}

describe('models that ship, pushed to a Worker that runs', () => {
  it.each(['digits', 'reviews'])('%s, as its verge.json says', async (name) => {
    const spec = join(ROOT, 'models', name)
    await pushAndAsk(`${name}-ready`, spec, join(spec, 'model.onnx'))
  })

  it.each(['digits', 'reviews'])('%s, made small', async (name) => {
    const file = join(ROOT, 'models', name, 'model.onnx')
    await pushAndAsk(name, file, file)
  })
})

describe.skipIf(!haveRealModels)(
  `real models, pushed to a Worker that runs (skipped only where ${SKIP_REASON})`,
  () => {
    it.each(
      realModels.map(({ folder: at, description }) => [description.name, at, description.artifacts[0]?.file ?? '']),
    )('%s', async (name, at, file) => {
      const path = join(at, file)
      await pushAndAsk(name, path, path, '--licence', 'MIT')
    })
  },
)
