import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BUILT, KEPT_NOTE } from '../../src/cli/build/build.ts'
import { REPORTS } from '../../src/cli/build/ready.ts'
import { ROOT } from '../../src/cli/files/project.ts'
import { type DevServer, startDevServer } from '../../src/cli/local/dev-server.ts'
import { untilListening } from '../../src/cli/local/readiness.ts'
import { packFolder } from '../../src/cli/pack/packer.ts'
import { allKeys } from '../../src/cli/push/references.ts'
import { openTarget } from '../../src/cli/target/open.ts'
import { freePort } from '../../src/cli/terminal/port.ts'
import { referenceSession } from '../../src/cli/verify/reference.ts'
import { toleranceFor } from '../../src/cli/verify/tolerance.ts'
import { type Tensor, tensor } from '../../src/core/tensors.ts'
import { type NodeSpec, onnxModel } from '../../synthetic/onnx.ts'
import { never } from '../../synthetic/source.ts'
import { encoder, encoderSamples } from '../fixtures/node/networks.ts'
import { type Ran, verge } from '../fixtures/node/verge.ts'
import { recogniserModel, samplesModel, unguessableModel } from '../fixtures/odd-inputs.ts'

/** Built models and reports lie in the repository's own folder, beside those of a person. */
const OWN = `test-${process.pid}`
const ENCODER = `${OWN}-encoder`
const DIGITS = `${OWN}-digits`
const SOUNDS = `${OWN}-sounds`
const LINES = `${OWN}-lines`
const ODD = `${OWN}-odd`
const NOISE = `${OWN}-noise`
const SILENT = `${OWN}-silent`
const START_MS = 60_000

const { bytes } = encoder()
let folder: string
let server: DevServer

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verge-push-'))
  await writeFile(join(folder, 'encoder.onnx'), bytes)
  server = startDevServer({ port: await freePort(), persistTo: join(folder, 'state'), onLine: () => {} })
  await untilListening(server, START_MS)
})
afterAll(async () => {
  await server?.stop()
  await rm(folder, { recursive: true, force: true })
  for (const name of [ENCODER, DIGITS, SOUNDS, LINES, ODD, NOISE, SILENT]) {
    await rm(join(BUILT, name), { recursive: true, force: true })
    await rm(join(REPORTS, name), { recursive: true, force: true })
  }
})

const push = (...args: string[]): Promise<Ran> =>
  verge(['push', '--persist-to', 'state', '--url', server.url, ...args], { cwd: folder })

/** What a push with `--json` printed. */
async function pushed(...args: string[]) {
  const { code, stdout, stderr } = await push(...args, '--json')
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const { report, push: result, live } = JSON.parse(stdout)
  return { report, result, live }
}

/** Keys of the bucket that the Worker reads. */
async function stored(): Promise<string[]> {
  const target = await openTarget({ local: join(folder, 'state') })
  try {
    return (await allKeys(target.truth, '')).sort()
  } finally {
    await target.dispose()
  }
}

/** Scores of the Worker that runs, by the Open Inference Protocol in plain JSON. */
async function ask(ids: readonly number[]): Promise<number[]> {
  const answer = await fetch(`${server.url}/v2/models/${ENCODER}/infer`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ inputs: [{ name: 'ids', datatype: 'INT64', shape: [1, ids.length], data: ids }] }),
  })
  const body = (await answer.json()) as { outputs: { data: number[] }[] }
  expect(answer.status).toBe(200)
  return body.outputs[0]?.data ?? []
}

/** FP32 `x` [1, 2] -> `y` [1, 2]. */
const vectors = (nodes: readonly NodeSpec[], initializers: Readonly<Record<string, Tensor>> = {}) =>
  onnxModel({
    inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: [1, 2] }],
    nodes,
    initializers,
  })

const linear = (weights: readonly number[]) =>
  vectors([{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }], {
    w: tensor('FP32', [2, 2], Float32Array.from(weights)),
  })

const noisy = () =>
  vectors([
    { op: 'RandomNormalLike', inputs: ['x'], outputs: ['noise'] },
    { op: 'Add', inputs: ['x', 'noise'], outputs: ['y'] },
  ])

/** Answers zeros unless an input is above a million. */
const silent = () =>
  vectors(
    [
      { op: 'Sub', inputs: ['x', 'million'], outputs: ['above'] },
      { op: 'Relu', inputs: ['above'], outputs: ['y'] },
    ],
    { million: tensor('FP32', [], Float32Array.of(1e6)) },
  )

describe('verge push', () => {
  it('says what it would store, and stores nothing', async () => {
    const { code, stdout } = await push('encoder.onnx', '--name', ENCODER, '--no-measure', '--dry-run')
    expect(code).toBe(0)
    expect(stdout).toMatch(/R2: would get 4 of 4 chunks/)
    expect(stdout).toMatch(/alias: would move to generation 1, public; live: 1/)
    expect(stdout).toMatch(/Nothing was stored \(--dry-run\)\.\n$/)
    expect(await stored()).toEqual([])
  })

  it('refuses what differs from the original, says where it begins, and stores nothing', async () => {
    const args = ['encoder.onnx', '--name', ENCODER, '--no-measure', '--dtype', 'q4', '--tolerance', '1']
    const { code, stderr } = await push(...args)
    expect(code).toBe(1)
    expect(stderr).toMatch(/differ too much from the original's\. Nothing was pushed\.\n {2}edge-q4: output "scores" /)
    expect(stderr).toMatch(/--exclude.*--dtype.*--tolerance/)
    expect(stderr).toMatch(/"(words|raised|even)"/)
    const [, report = ''] = /Full report: (.*)\n/.exec(stderr) ?? []
    expect(existsSync(join(folder, report))).toBe(true)
    expect(await stored()).toEqual([])
  })

  it('makes a model live on a Worker that runs, and sends nothing twice', async () => {
    const { report, result, live } = await pushed('encoder.onnx', '--name', ENCODER)
    expect(report).toMatchObject({ model: ENCODER, version: '1', verification: { ok: true, synthetic: true } })
    expect(report.choices.map(({ why }: { why: string }) => why)).toContain('q8')
    expect(report.measured.verdict.fit).toBe('fits')
    expect(result).toMatchObject({ version: '1', generation: 1, visibility: 'public', live: [{ version: '1' }] })
    expect(result.sent).toBeGreaterThan(0)
    expect(live).toMatchObject({ url: server.url, answer: expect.stringMatching(/^scores FP32 \[1, 40\]: -?\d/) })
    expect(JSON.parse(await readFile(join(BUILT, ENCODER, 'report.json'), 'utf8'))).toEqual(report)

    // It answers as the original does, which nobody has asked it before with these words.
    const original = await referenceSession(bytes, never())
    const [sample] = encoderSamples(1)
    const ids = [...((sample?.inputs.get('ids')?.data ?? []) as BigInt64Array)].map(Number)
    const [output] = (await original.run(sample?.inputs ?? new Map(), { signal: never() })).values()
    original.dispose()
    const expected = [...((output?.data ?? []) as Float32Array)]
    const distance = (values: readonly number[]): number =>
      Math.hypot(...expected.map((value, index) => value - (values[index] ?? Number.NaN))) / Math.hypot(...expected)
    const eight = await ask(ids)
    expect(distance(eight)).toBeLessThanOrEqual(toleranceFor('q8').relative)
    expect(distance(eight)).toBeGreaterThan(0)

    const keys = await stored()
    for (const more of [[], ['--model-version', '1']]) {
      const again = await pushed('encoder.onnx', '--name', ENCODER, '--no-verify', '--no-measure', ...more)
      // What a run costs is measured anew each time, if at all, and is not what a version is known by.
      expect(again.result).toMatchObject({ version: '1', generation: 1, sent: 0, written: 0 })
    }
    expect(await stored()).toEqual(keys)

    // Another precision is another version, and the Worker turns to it by itself.
    const four = await pushed('encoder.onnx', '--name', ENCODER, '--dtype', 'q4', '--no-verify', '--no-measure')
    expect(four.result).toMatchObject({ version: '2', generation: 2, live: [{ version: '2' }] })
    expect(four.live).toMatchObject({ url: server.url })
    const fourBits = await ask(ids)
    expect(fourBits).not.toEqual(eight)
    expect(distance(fourBits)).toBeLessThanOrEqual(toleranceFor('q4').relative)
  })

  it('pushes a folder that says all about itself as it is, under the name that is asked for', async () => {
    const args = [join(ROOT, 'models/digits'), '--name', DIGITS, '--model-version', '7', '--no-measure']
    const { code, stdout } = await push(...args)
    expect(code).toBe(0)
    expect(stdout).toMatch(
      new RegExp(`${DIGITS} 7 answers at ${server.url}:\n\n {2}curl .*/run/${DIGITS} .*\n {2}# \\[`),
    )
    const [, report = ''] = /Report: (.*)\n/.exec(stdout) ?? []
    expect(existsSync(join(folder, report))).toBe(true)
    expect(await stored()).toContain(`manifest/${DIGITS}/7`)
    const again = await pushed(...args)
    expect(again.report).toMatchObject({ model: DIGITS, version: '7', verification: { ok: true } })
    expect(again.result).toMatchObject({ version: '7', sent: 0, written: 0 })
  })

  it('makes inputs up for models of sounds and of lines of text, and hears the Worker answer', async () => {
    const sounds = join(folder, 'sounds')
    await mkdir(sounds)
    await writeFile(join(sounds, 'model.onnx'), samplesModel())
    await writeFile(join(folder, 'lines.onnx'), recogniserModel())
    const files = {
      'config.json': { architectures: ['Wav2Vec2ForSequenceClassification'], id2label: { 0: 'a', 1: 'b', 2: 'c' } },
      'preprocessor_config.json': { feature_extractor_type: 'Wav2Vec2FeatureExtractor', sampling_rate: 16_000 },
    }
    for (const [name, content] of Object.entries(files)) await writeFile(join(sounds, name), JSON.stringify(content))
    const heard = await pushed('sounds', '--name', SOUNDS)
    expect(heard.report).toMatchObject({
      verification: { ok: true, synthetic: true },
      measured: { verdict: { fit: 'fits' } },
    })
    expect(heard.live.answer).toMatch(/^\[\{"label":"[abc]","score":0\.\d{1,5}\}/)
    const read = await pushed('lines.onnx', '--name', LINES)
    expect(read.report).toMatchObject({ verification: { ok: true, synthetic: true } })
    expect(read.live.answer).toMatch(/^steps FP32 \[1, 5, 32\]: -?\d/)
  })

  it('says what it tried where nothing runs, and needs no input where no proof is asked for', async () => {
    await writeFile(join(folder, 'odd.onnx'), unguessableModel())
    const refused = await push('odd.onnx', '--name', ODD)
    expect(refused).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/accepted none of the 14 inputs.*--samples requests\.jsonl/s),
    })
    const { live, report } = await pushed('odd.onnx', '--name', ODD, '--no-verify', '--no-measure')
    expect(report).toMatchObject({ verification: null, measured: null })
    expect(live.answer).toMatch(/^its metadata; no input is known/)
  })

  it('shows a folder that says nothing of who may see it as it shows any other model on this machine', async () => {
    const described = join(folder, 'described')
    await mkdir(described)
    await writeFile(join(described, 'model.onnx'), await readFile(join(folder, 'encoder.onnx')))
    const about = { version: '1', licence: 'MIT', artifacts: [{ file: 'model.onnx', dtype: 'fp32' }] }
    const visibilityOf = async (more: object): Promise<string | undefined> => {
      await writeFile(join(described, 'verge.json'), JSON.stringify({ ...about, name: 'described', ...more }))
      const { stdout } = await push('described', '--no-verify', '--no-measure', '--dry-run')
      return /would move to generation 1, (\w+)/.exec(stdout)?.[1]
    }
    expect(await visibilityOf({})).toBe('public')
    expect(await visibilityOf({ visibility: 'private' })).toBe('private')
    expect(await visibilityOf({ visibility: 'public' })).toBe('public')
  })

  it('says how a version that is not live is asked, and made live', async () => {
    const args = ['encoder.onnx', '--name', ENCODER, '--no-verify', '--no-measure', '--model-version', '9', '--no-live']
    const { stdout } = await push(...args)
    expect(stdout).toContain(`curl ${server.url}/v2/models/${ENCODER}/versions/9/infer`)
    expect(stdout).toContain('-H "authorization: Bearer $VERGE_API_KEY"')
    expect(stdout).toMatch(
      new RegExp(`not live. Live: 2. To make it live:\n\n {2}npx verge release ${ENCODER} 9 --persist-to state\n`),
    )
  })

  it('proves and measures once what does not change, whatever it is called', async () => {
    const first = await pushed('encoder.onnx', '--name', ENCODER)
    expect(first.report.verification.ok).toBe(true)
    const again = await pushed('encoder.onnx', '--name', SILENT)
    expect(again.report.notes).toContain(KEPT_NOTE)
    // Times of two measurements are never the same.
    expect(again.report.measured).toEqual(first.report.measured)
    expect(again.report.verification).toEqual(first.report.verification)
    expect(again.report.artifacts).toEqual(first.report.artifacts)
    // What is packed without converting anything again is what packing the folder gives.
    const { manifest } = await packFolder(join(BUILT, SILENT))
    expect(manifest.artifacts[0]?.cost).toEqual(first.report.measured.measurements.cost.cost)
    expect(await stored()).toContain(`manifest/${SILENT}/${manifest.version}`)
    const wider = await pushed('encoder.onnx', '--name', SILENT, '--no-measure', '--tolerance', '0.9')
    expect(wider.report.notes).not.toContain(KEPT_NOTE)
  })

  it.each([
    ['with so few weights that nothing is quantized', []],
    ['in full precision', ['--dtype', 'fp32']],
    ['without proof', ['--no-verify', '--no-measure']],
  ])('refuses weights that are not numbers, %s', async (_, args) => {
    await writeFile(join(folder, 'nan.onnx'), linear([1, Number.NaN, 3, 4]))
    const { code, stderr } = await push('nan.onnx', '--name', NOISE, ...args)
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/produces "y" reads "w", which has NaN at element 1/),
    })
    const described = { name: NOISE, version: '1', licence: 'MIT', artifacts: [{ file: 'model.onnx', dtype: 'fp32' }] }
    const ready = join(folder, 'ready-nan')
    await mkdir(ready, { recursive: true })
    await writeFile(join(ready, 'verge.json'), JSON.stringify(described))
    await writeFile(join(ready, 'model.onnx'), linear([1, Number.NaN, 3, 4]))
    const folderPush = await push('ready-nan', ...args.filter((arg) => !/dtype|fp32/.test(arg)))
    expect(folderPush).toMatchObject({ code: 1, stderr: expect.stringMatching(/reads "w", which has NaN/) })
  })

  it('says of a model that draws random numbers what it is, and serves it uncached if asked to', async () => {
    await writeFile(join(folder, 'noise.onnx'), noisy())
    const refused = await push('noise.onnx', '--name', NOISE)
    expect(refused.code).toBe(1)
    expect(refused.stderr).toMatch(
      /draws random numbers \(RandomNormalLike "noise"\).*model\.eval\(\).*--allow-random/s,
    )
    const { report, live } = await pushed('noise.onnx', '--name', NOISE, '--allow-random')
    expect(report).toMatchObject({ verification: null, measured: { verdict: { fit: 'fits' } } })
    expect(report.choices).toContainEqual({ what: 'random', why: expect.stringMatching(/neither verified nor cached/) })
    expect(live.answer).toMatch(/^y FP32 \[1, 2\]/)
    const target = await openTarget({ local: join(folder, 'state') })
    const found = await target.truth.get(`manifest/${NOISE}/${report.version}`)
    expect(await new Response(found?.body).json()).toMatchObject({ cache: false })
    await target.dispose()
    const ask = async (): Promise<unknown> => {
      const inputs = [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [0, 0] }]
      const body = JSON.stringify({ inputs })
      const headers = { 'content-type': 'application/json' }
      const answer = await fetch(`${server.url}/v2/models/${NOISE}/infer`, { method: 'POST', headers, body })
      return answer.json()
    }
    expect(await ask()).not.toEqual(await ask())
  })

  it('refuses to push what no input shows anything of, and says what it needs', async () => {
    await writeFile(join(folder, 'silent.onnx'), silent())
    const { code, stderr } = await push('silent.onnx', '--name', SILENT, '--no-measure')
    expect(code).toBe(1)
    expect(stderr).toMatch(/Nothing was pushed\. On the inputs that Verge generated no output shows/)
    expect(stderr).toMatch(/Output "y": the original returns only zeros\./)
    expect(stderr).toMatch(/--samples requests\.jsonl/)
    const line = { inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [2e6, 3e6] }] }
    const other = { inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [5e6, 1e6] }] }
    await writeFile(join(folder, 'requests.jsonl'), [line, other].map((item) => JSON.stringify(item)).join('\n'))
    const { report } = await pushed('silent.onnx', '--name', SILENT, '--no-measure', '--samples', 'requests.jsonl')
    expect(report.verification).toMatchObject({ ok: true, verdict: 'agrees', samples: 2, synthetic: false })
  })

  it('does not ask for what is private, and ends with a failure where a Worker was named', async () => {
    const args = ['encoder.onnx', '--name', ENCODER, '--private', '--no-measure', '--no-verify']
    const { code, stdout } = await push(...args)
    expect(code).toBe(1)
    expect(stdout).toMatch(/is stored\. No test request was sent: it is private, and VERGE_API_KEY is not set\./)
    const nobody = ['--url', `http://127.0.0.1:${await freePort()}`]
    const unheard = await push(...args.filter((arg) => arg !== '--private'), '--public', ...nobody)
    expect(unheard).toMatchObject({ code: 1, stdout: expect.stringMatching(/no Worker listens at http:/) })
  })
})
