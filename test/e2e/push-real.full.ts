import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BUILT } from '../../src/cli/build/build.ts'
import { REPORTS } from '../../src/cli/build/ready.ts'
import { ROOT } from '../../src/cli/files/project.ts'
import { type DevServer, startDevServer } from '../../src/cli/local/dev-server.ts'
import { untilListening } from '../../src/cli/local/readiness.ts'
import { inferRequest, send } from '../../src/cli/oip-client.ts'
import { readDescription } from '../../src/cli/pack/description.ts'
import { freePort } from '../../src/cli/terminal/port.ts'
import { assessOutput } from '../../src/cli/verify/assess-output.ts'
import { Comparison } from '../../src/cli/verify/compare.ts'
import { ExerciseWatch } from '../../src/cli/verify/exercise.ts'
import { findSamples } from '../../src/cli/verify/find.ts'
import { outputRanges } from '../../src/cli/verify/ranges.ts'
import { referenceSession, tensorOutputs } from '../../src/cli/verify/reference.ts'
import { toleranceFor } from '../../src/cli/verify/tolerance.ts'
import { decodeModel } from '../../src/onnx/codec.ts'
import { never } from '../../synthetic/source.ts'
import { haveRealModels, realModels, SKIP_REASON } from '../fixtures/node/real-models.ts'
import { verge } from '../fixtures/node/verge.ts'

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
    const { outputs: actual } = await send(server.url, inferRequest(model, inputs, { outputs }))
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
    expect(assessOutput(agreement, watch.result(), toleranceFor(dtype), ranges.get(name)).deviations, name).toEqual([])
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
