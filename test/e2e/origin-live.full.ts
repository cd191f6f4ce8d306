import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { InferenceClient } from '@huggingface/inference'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BUILT } from '../../src/cli/build/build.ts'
import { REPORTS } from '../../src/cli/build/ready.ts'
import { ROOT } from '../../src/cli/files/project.ts'
import { freePort } from '../../src/cli/terminal/port.ts'
import { toleranceFor } from '../../src/cli/verify/tolerance.ts'
import { type OriginProcess, startOriginProcess } from '../fixtures/node/origin-process.ts'
import { type StartProcess, startProcess } from '../fixtures/node/start-process.ts'
import { type Ran, verge } from '../fixtures/node/verge.ts'

/** `npm start` and `npm run origin` as an operator types them, and what is asked of them in the first hour. */
const KEY = 'the-operator-of-this-test-0123456789'
const CHAT = '/v1/chat/completions'
const AT_ORIGIN = /^origin;origin="local";artifact="onnx-fp32";start=(cold|warm);reason=/
/** Of one request: as long a stream as a model of so few words writes. */
const MOST_PROMPTS = 8
const PUSHED = `test-${process.pid}-pushed`
/** The longest that a breaker stays open before it lets a probe through, with what is added on top, and some. */
const BREAKER_MS = 80_000

let scratch: string
let models: string
let start: StartProcess
let url: string
let ports: readonly [number, number]
let origin: OriginProcess
let openai: OpenAI

/** On the same ports as the one before, and with the key that both commands find by themselves. */
async function startOrigin(): Promise<OriginProcess> {
  const [port, adminPort] = ports
  const args = ['--port', String(port), '--admin-port', String(adminPort)]
  const started = await startOriginProcess({ from: url, cache: join(scratch, 'cache'), keys: [], args })
  await started.logged('origin_ready')
  return started
}

/** A copy of `models/reviews` that neither the edge nor a browser can run. */
async function originOnly(folder: string, name: string): Promise<void> {
  await cp(join(ROOT, 'models/reviews'), folder, { recursive: true })
  await rm(join(folder, 'model.q8.onnx'))
  const description = JSON.parse(await readFile(join(folder, 'verge.json'), 'utf8')) as object
  const artifacts = [{ file: 'model.onnx', dtype: 'fp32', places: ['origin'] }]
  await writeFile(
    join(folder, 'verge.json'),
    JSON.stringify({ ...description, name, placement: 'origin', downloadable: false, artifacts }),
  )
}

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'verge-live-'))
  models = join(scratch, 'models')
  for (const name of ['abacus', 'digits', 'reviews'])
    await cp(join(ROOT, 'models', name), join(models, name), { recursive: true })
  await originOnly(join(models, 'dark'), 'dark')
  ports = [await freePort(), await freePort()]
  start = await startProcess({
    models,
    persistTo: join(scratch, 'state'),
    origin: `http://127.0.0.1:${ports[0]}`,
    vars: { VERGE_API_KEY: KEY },
  })
  url = start.url
  origin = await startOrigin()
  openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: KEY, maxRetries: 0 })
  await untilPlaced('origin')
})
afterAll(async () => {
  await origin?.stop()
  await start?.stop()
  await rm(scratch, { recursive: true, force: true })
  for (const folder of [BUILT, REPORTS]) await rm(join(folder, PUSHED), { recursive: true, force: true })
})

const question = (a: number, b: number) => ({
  model: 'abacus',
  temperature: 0,
  messages: [{ role: 'user' as const, content: `What is ${a} plus ${b}?` }],
})

const post = (path: string, body: unknown, headers: Readonly<Record<string, string>> = {}) =>
  fetch(url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })

/** Asks a sum. @returns where it was computed */
async function placed(): Promise<string> {
  const answer = await post(CHAT, question(27, 58))
  const { choices } = (await answer.json()) as { choices: { message: { content: string } }[] }
  expect(choices[0]?.message.content).toMatch(/\b85\b/)
  return answer.headers.get('verge-placement') ?? ''
}

/** Waits until the breaker has let a probe through. */
async function untilPlaced(place: string): Promise<string> {
  const end = Date.now() + BREAKER_MS
  for (;;) {
    const placement = await placed()
    if (placement.startsWith(place) || Date.now() > end) return placement
    await sleep(500)
  }
}

describe('npm start, before an origin runs', () => {
  it('says which models wait for one', () => {
    expect(start.output()).toMatch(/dark: does not answer yet, because no origin for it is running.*npm run origin/)
    expect(start.output()).toMatch(/# prefers an origin.*: abacus\nnpm run origin\n/)
    expect(start.output()).toMatch(/curl \S+\/v1\/chat\/completions .*"abacus".*\n# "27 plus 58 is 85\."/)
  })
})

describe('with an origin', () => {
  it('a model that prefers it is answered there, and says so', async () => {
    expect(await placed()).toMatch(AT_ORIGIN)
    expect(await placed()).toMatch(/start=warm;reason=model-prefers-origin$/)
  })

  it("openai's client streams, and does not stream, what is right", async () => {
    for (const [a, b] of [
      [12, 30],
      [63, 30],
      [9, 4],
    ] as const) {
      const whole = await openai.chat.completions.create(question(a, b))
      expect(whole.choices[0]?.message.content).toMatch(new RegExp(`\\b${a + b}\\b`))
      const { data: stream, response } = await openai.chat.completions
        .create({ ...question(a, b), stream: true })
        .withResponse()
      expect(response.headers.get('verge-placement')).toMatch(AT_ORIGIN)
      const parts: string[] = []
      for await (const chunk of stream) parts.push(chunk.choices[0]?.delta.content ?? '')
      expect(parts.join('')).toBe(whole.choices[0]?.message.content)
      expect(parts.length).toBeGreaterThan(3)
    }
  })

  it('explains itself to the operator, and to nobody else', async () => {
    const path = `${url}/explain/abacus?route=openai`
    const answer = await fetch(path, { headers: { authorization: `Bearer ${KEY}` } })
    expect(await answer.json()).toMatchObject({
      model: 'abacus',
      decision: {
        place: 'origin',
        reason: 'model-prefers-origin',
        steps: [
          { place: 'origin', origins: ['local'] },
          { place: 'edge', degraded: true },
        ],
      },
    })
    expect((await fetch(path)).status).toBe(401)
  })

  it('@huggingface/inference hears the same from both places', async () => {
    const seen: string[] = []
    const client = (place: string) =>
      new InferenceClient(KEY, {
        fetch: async (input: Parameters<typeof fetch>[0], init?: RequestInit) => {
          const headers = new Headers(init?.headers)
          headers.set('verge-place', place)
          const answer = await fetch(input, { ...init, headers })
          seen.push((answer.headers.get('verge-placement') ?? '').split(';')[0] ?? '')
          return answer
        },
      })
    const picture = new Blob([await readFile(join(ROOT, 'models/digits/samples/seven.png'))], { type: 'image/png' })
    const text = 'Slow, dull, and far too long.'
    const answers = []
    for (const place of ['edge', 'origin']) {
      answers.push([
        ...(await client(place).imageClassification({ endpointUrl: `${url}/models/digits`, data: picture })),
        ...(await client(place).textClassification({ endpointUrl: `${url}/models/reviews`, inputs: text })),
      ])
    }
    expect(seen).toEqual(['edge', 'edge', 'origin', 'origin'])
    const [edge = [], there = []] = answers
    expect([there[0]?.label, there.find(({ label }) => /tive$/.test(label))?.label]).toEqual(['7', 'negative'])
    for (const { label, score } of there) {
      // 8 bits here, 32-bit floats there.
      const same = edge.find((each) => each.label === label)
      if (same !== undefined) expect(Math.abs(score - same.score), label).toBeLessThan(0.05)
    }
  })

  it('the Open Inference Protocol gives the numbers of onnxruntime itself', async () => {
    const ids = [2, 10, 20, 3]
    const tensor = (name: string, data: readonly number[]) => ({ name, datatype: 'INT64', shape: [1, 4], data })
    const ask = async (place: string) => {
      const inputs = [tensor('input_ids', ids), tensor('attention_mask', [1, 1, 1, 1])]
      const answer = await post('/v2/models/reviews/infer', { inputs }, { 'verge-place': place })
      expect(answer.headers.get('verge-placement')).toMatch(new RegExp(`^${place};`))
      return ((await answer.json()) as { outputs: { data: number[] }[] }).outputs[0]?.data ?? []
    }
    const session = await InferenceSession.create(join(ROOT, 'models/reviews/model.onnx'))
    const longs = (values: readonly number[]) => new Tensor('int64', BigInt64Array.from(values, BigInt), [1, 4])
    const expected = await session.run({ input_ids: longs(ids), attention_mask: longs([1, 1, 1, 1]) })
    const values = [...((expected.logits?.data as Float32Array | undefined) ?? [])]
    const there = await ask('origin')
    expect(there).toHaveLength(values.length)
    for (const [index, value] of values.entries()) expect(there[index]).toBeCloseTo(value, 4)
    const here = await ask('edge')
    const distance = Math.hypot(...values.map((value, index) => value - (here[index] ?? Number.NaN)))
    expect(distance / Math.hypot(...values)).toBeLessThanOrEqual(toleranceFor('q8').relative)
  })

  it('a model that is pushed meanwhile is answered there', async () => {
    const folder = join(scratch, 'pushed')
    await mkdir(folder)
    await originOnly(folder, PUSHED)
    const pushed = await push(folder)
    expect(pushed.code, pushed.stderr).toBe(0)
    expect(pushed.stdout).toMatch(new RegExp(`${PUSHED} \\d+ answers at ${url}:`))
    const answer = await post(`/run/${PUSHED}`, { inputs: 'A wonderful film.' })
    expect(answer.headers.get('verge-placement')).toMatch(AT_ORIGIN)
    expect(await answer.json()).toMatchObject([{ label: 'positive' }, { label: 'negative' }])
  })

  it('the doctor finds nothing wrong', async () => {
    const { code, stdout } = await doctor()
    expect(stdout).toMatch(/^ok +origins +local receives requests$/m)
    expect(stdout).toMatch(/ok +model dark +ran at: origin;origin="local"/)
    expect(stdout).not.toMatch(/^(fail|warn)/m)
    expect(code).toBe(0)
  })

  it('the metrics count what was asked', async () => {
    const text = await (await fetch(`${origin.admin}/metrics`)).text()
    const value = (name: string) =>
      Number(new RegExp(`^${name.replace(/[{}"]/g, '\\$&')} (\\S+)$`, 'm').exec(text)?.[1])
    expect(value('verge_origin_requests_total{model="abacus",route="chat",status="200"}')).toBeGreaterThanOrEqual(9)
    expect(value('verge_origin_tokens_total{model="abacus"}')).toBeGreaterThan(9 * 5)
    // The others have the weights of reviews, and share its session.
    for (const model of ['abacus', 'digits', 'reviews'])
      expect(value(`verge_origin_loads_total{model="${model}",outcome="ok"}`), model).toBe(1)
    for (const model of ['dark', PUSHED])
      expect(text).toMatch(new RegExp(`^verge_origin_requests_total\\{model="${model}",.*status="200"\\} [1-9]`, 'm'))
    expect(value('verge_origin_draining')).toBe(0)
    expect(text).toMatch(/^verge_origin_info\{engine="native",version="[\d.]+",provider="cpu"\} 1$/m)
  })
})

const push = (folder: string, ...args: string[]): Promise<Ran> =>
  verge(['push', folder, '--persist-to', join(scratch, 'state'), '--url', url, ...args], { cwd: scratch })

const doctor = (): Promise<Ran> =>
  verge(['doctor', '--url', url, '--requests', '1'], { cwd: scratch, env: { VERGE_API_KEY: KEY } })

describe('when the origin is killed', () => {
  beforeAll(async () => {
    origin.process.kill('SIGKILL')
    await origin.ended
  })

  it('the edge answers in its place, and says that it is less', async () => {
    for (let time = 0; time < 5; time++) {
      expect(await placed()).toMatch(/^edge;artifact="edge-q8";start=(cold|warm);reason=origin-down;degraded$/)
    }
    const picture = await readFile(join(ROOT, 'models/digits/samples/seven.png'))
    const digits = await fetch(`${url}/run/digits`, {
      method: 'POST',
      headers: { 'content-type': 'image/png', 'cache-control': 'no-cache' },
      body: picture,
    })
    expect(digits.headers.get('verge-placement')).toMatch(/^edge;/)
    expect(digits.headers.get('verge-placement')).not.toMatch(/degraded/)
    expect(await digits.json()).toMatchObject([{ label: '7' }, {}, {}, {}, {}])
  })

  it('what has nothing for the edge is refused until later', async () => {
    const answer = await post('/run/dark', { inputs: 'A wonderful film.' })
    expect(answer.status).toBe(503)
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
    expect(await answer.json()).toMatchObject({ error: { code: 'origin_unavailable' } })
  })

  it('a push says that it was not asked, and why', async () => {
    const pushed = await push(join(scratch, 'pushed'), '--model-version', '3')
    expect(pushed.stdout).toMatch(/is stored\. No test request was sent: no origin for it is running/)
    // Whoever named the Worker wanted to hear it answer.
    expect(pushed.code).toBe(1)
  })

  it('the doctor says what to do', async () => {
    const { code, stdout } = await doctor()
    expect(stdout).toMatch(/^warn +origins +local is excluded/m)
    expect(stdout).toMatch(/^warn +model abacus +is answered by a smaller artifact/m)
    expect(stdout).toMatch(/^fail +model dark +does not answer: HTTP 503[^\n]*\n +-> It runs only on origins/m)
    expect(code).toBe(1)
  })

  it('it gets requests again when it is back, from what lies in its cache', async () => {
    origin = await startOrigin()
    expect(await untilPlaced('origin')).toMatch(AT_ORIGIN)
    expect((await post('/run/dark', { inputs: 'A wonderful film.' })).status).toBe(200)
  })
})

describe('when the origin is told to end', () => {
  it('it finishes what it has begun, and the edge takes the rest', async () => {
    const prompts = Array.from(
      { length: MOST_PROMPTS },
      (_, index) => `<|im_start|>user\nWhat is ${index} plus 7?<|im_end|>\n<|im_start|>assistant\n`,
    )
    const stream = await openai.completions.create({ model: 'abacus', temperature: 0, prompt: prompts, stream: true })
    const texts = prompts.map(() => '')
    const finished = new Set<number>()
    let begun = false
    for await (const { choices } of stream) {
      for (const { index, text, finish_reason: reason } of choices) {
        texts[index] += text
        if (reason !== null) finished.add(index)
      }
      if (begun) continue
      begun = true
      // As where a launcher passes on what a terminal has sent to both.
      for (const signal of ['SIGTERM', 'SIGINT'] as const) origin.process.kill(signal)
      await origin.logged('origin_draining')
      expect(await placed()).toMatch(/^edge;.*;reason=origin-down;degraded$/)
    }
    expect(finished.size).toBe(prompts.length)
    for (const [index, text] of texts.entries()) expect(text).toMatch(new RegExp(`\\b${index + 7}\\b`))
    expect(await origin.ended).toBe(0)
    expect(await origin.logged('origin_stopped')).toMatchObject({ finished: true })
  })

  it('npm start ends too, and leaves no key behind', async () => {
    expect(await start.stop()).toBe(0)
    expect(start.output()).not.toContain(KEY)
    const { port } = new URL(url)
    await expect(readFile(join(ROOT, `.verge/origin-${port}.env`))).rejects.toMatchObject({ code: 'ENOENT' })
  })
})
