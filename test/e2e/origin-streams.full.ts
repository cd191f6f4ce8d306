import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'
import { packFolder } from '../../src/cli/pack/packer.ts'
import { engineChildOf } from '../fixtures/node/engine-child.ts'
import { faultModels } from '../fixtures/node/fault-models.ts'
import { always, hang, passTo, raw } from '../fixtures/node/faulty-origin.ts'
import { healthOf } from '../fixtures/node/origin-models.ts'
import { type OriginProcess, startOriginProcess } from '../fixtures/node/origin-process.ts'
import {
  call,
  OPERATOR,
  ORIGIN_KEY,
  type PlacedWorker,
  publishAs,
  startPlacedWorker,
  until,
} from '../fixtures/node/placed-worker.ts'
import { alphabetAfter } from '../fixtures/slow-writer.ts'

/** Each has its own origin, so that no test finds the breaker that another has left behind. */
const NAMES = ['well', 'cut', 'within', 'stall', 'early', 'leave', 'engine', 'killed', 'refused'] as const
type Name = (typeof NAMES)[number]

let worker: PlacedWorker
let origin: OriginProcess
let openai: OpenAI
let scratch: string

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'verge-streams-'))
  worker = await startPlacedWorker([
    ...NAMES.map((name) => ({ name, models: [name] })),
    { name: 'abacus', models: ['abacus'] },
  ])
  const writer = await faultModels.writer()
  for (const name of NAMES) await publishAs(worker.writer, writer, name)
  await publishAs(worker.writer, await packFolder(join(ROOT, 'models/abacus')), 'abacus')
  openai = new OpenAI({ baseURL: `${worker.url}/v1`, apiKey: OPERATOR, maxRetries: 0 })
  origin = await start('shared')
  for (const name of NAMES) worker.front(name).behave(passTo(origin.url))
})
afterAll(async () => {
  await worker?.dispose()
  await origin?.stop()
  await rm(scratch, { recursive: true, force: true })
})

async function start(name: string, args: readonly string[] = []): Promise<OriginProcess> {
  const cache = join(scratch, name)
  const started = await startOriginProcess({ from: worker.url, cache, keys: [ORIGIN_KEY], args })
  await started.logged('origin_ready')
  return started
}

interface Read {
  readonly text: string
  readonly finish: string | null
  readonly error: unknown
}

/** Reads a stream with the official client until it ends or fails. */
async function read(model: Name, tokens: number, onText: (text: string) => void = () => {}): Promise<Read> {
  let text = ''
  let finish: string | null = null
  try {
    const request = { model, prompt: 'a', max_tokens: tokens, temperature: 0, stream: true } as const
    for await (const { choices } of await openai.completions.create(request)) {
      text += choices[0]?.text ?? ''
      finish = choices[0]?.finish_reason ?? finish
      onText(text)
    }
    return { text, finish, error: undefined }
  } catch (error) {
    return { text, finish, error }
  }
}

/** What came was right, it was not all, and the client has said so. */
function expectBroken({ error, finish, text }: Read, code = 'origin_failed'): void {
  expect(error).toBeInstanceOf(OpenAI.APIError)
  expect(error).toMatchObject({ code, type: 'server_error' })
  expect(finish).toBeNull()
  expect(text.length).toBeGreaterThan(0)
  expect(text).toBe(alphabetAfter('a', text.length))
}

/** More than is written before something goes wrong. */
const MANY = 2_000

/** Lets some pieces of an answer through, and then does something else. */
function fewer(pieces: number, what: (piece: Buffer) => Buffer | 'break' | 'hold') {
  let passed = 0
  return (piece: Buffer) => (passed++ < pieces ? piece : what(piece))
}

describe('a stream', () => {
  it('from an origin that is well comes whole', async () => {
    const { error, finish, text } = await read('well', 12)
    expect([error, finish, text]).toEqual([undefined, 'length', alphabetAfter('a', 12)])
  })

  it('that breaks off between two events ends with an error', async () => {
    worker.front('cut').behave(passTo(origin.url, { piece: fewer(3, () => 'break') }))
    expectBroken(await read('cut', MANY))
    await until(() => worker.front('cut').open === 0, 'an end of what is in work')
  })

  it('that breaks off within an event passes on none of that', async () => {
    let cut = false
    const piece = fewer(3, (piece) => {
      if (cut) return 'break'
      cut = true
      return piece.subarray(0, 40)
    })
    worker.front('within').behave(passTo(origin.url, { piece }))
    const response = await fetch(`${worker.url}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'within', prompt: 'a', max_tokens: MANY, temperature: 0, stream: true }),
    })
    expect(response.status).toBe(200)
    const events = (await response.text()).split('\n\n')
    expect(events.pop()).toBe('')
    const parsed = events.map((event) => JSON.parse(event.replace(/^data: /, '')) as Record<string, unknown>)
    expect(parsed.length).toBeGreaterThan(2)
    expect(parsed.pop()).toEqual({
      error: { message: expect.any(String), type: 'server_error', param: null, code: 'origin_failed' },
    })
    for (const event of parsed) expect(event).toMatchObject({ object: 'text_completion', model: 'within' })
  })

  it('that stops coming ends with an error, and the origin is left', async () => {
    const front = worker.front('stall')
    front.behave(passTo(origin.url, { piece: fewer(3, () => 'hold') }))
    expectBroken(await read('stall', MANY))
    await until(() => front.open === 0, 'an end of what is in work')
    expect(front.abandoned).toBe(1)
  })

  it('that ends before its end is no answer', async () => {
    const event = { id: 'x', object: 'text_completion', model: 'early', choices: [{ index: 0, text: 'bc' }] }
    const body = `data: ${JSON.stringify(event)}\n\n`
    worker.front('early').behave(always(200, body, { 'content-type': 'text/event-stream' }))
    expectBroken(await read('early', MANY))
  })

  it('whose engine is killed ends with an error, and the next one comes whole', async () => {
    const killed = await start('engine')
    worker.front('engine').behave(passTo(killed.url))
    let left = 1
    const broken = await read('engine', MANY, (text) => {
      if (text.length >= 3 && left-- > 0) process.kill(engineChildOf(killed.process.pid ?? 0), 'SIGKILL')
    })
    expectBroken(broken, 'engine_aborted')
    const { error, text } = await read('engine', 5)
    expect([error, text]).toEqual([undefined, alphabetAfter('a', 5)])
    await killed.stop()
  })

  it('whose origin is killed ends with an error', async () => {
    // Nothing stands between that could notice it first: it takes the place of what does elsewhere.
    await worker.front('killed').refuse()
    const killed = await start('killed', ['--port', new URL(worker.front('killed').url).port])
    const broken = await read('killed', MANY, (text) => {
      if (text.length >= 3) killed.process.kill('SIGKILL')
    })
    await killed.ended
    expectBroken(broken)
    const again = await read('killed', 5)
    expect(again.error).toMatchObject({ status: 503, code: 'origin_unavailable' })
  })

  it.each([
    ['hangs', hang, 503, 'origin_unavailable'],
    ['breaks off', raw('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n'), 503, 'origin_unavailable'],
    ['is full', always(429, '{"error":{"code":"overloaded"}}'), 429, 'overloaded'],
  ] as const)('that never begins, for its origin %s, is refused by status', async (_, behaviour, status, code) => {
    worker.front('refused').behave(behaviour)
    const { error, text } = await read('refused', MANY)
    expect([error, text]).toMatchObject([{ status, code }, ''])
    worker.front('refused').behave(passTo(origin.url))
    expect((await read('refused', 2)).text).toBe('bc')
  })

  it('comes from the edge where its origin is gone before it began, and is complete', async () => {
    await worker.front('abacus').refuse()
    const response = await openai.chat.completions
      .create({
        model: 'abacus',
        messages: [{ role: 'user', content: 'What is 27 plus 58?' }],
        temperature: 0,
        stream: true,
      })
      .withResponse()
    let text = ''
    let finish: string | null = null
    for await (const { choices } of response.data) {
      text += choices[0]?.delta.content ?? ''
      finish = choices[0]?.finish_reason ?? finish
    }
    expect(response.response.headers.get('verge-placement')).toMatch(/^edge;.*;reason=origin-down;degraded$/)
    expect([text.includes('85'), finish]).toEqual([true, 'stop'])
  })

  it('ends with its reader: the origin writes no more', async () => {
    const front = worker.front('leave')
    const body = { model: 'leave', prompt: 'a', max_tokens: MANY, temperature: 0, stream: true }
    const before = await tokens()
    const caller = call(`${worker.url}/v1/completions`, JSON.stringify(body))
    const answer = await caller.answer
    answer.on('error', () => {})
    await new Promise((resolve) => answer.once('data', resolve))
    caller.hangUp()
    await until(() => front.open === 0, 'an end of what is in work')
    expect(front.abandoned).toBe(1)
    await until(async () => {
      const health = await healthOf(origin)
      return health.requests === 0 && health.running === 0
    }, 'rest')
    const written = (await tokens()) - before
    expect(written).toBeGreaterThan(0)
    expect(written).toBeLessThan(MANY / 4)
  })
})

async function tokens(): Promise<number> {
  const text = await (await fetch(`${origin.admin}/metrics`)).text()
  return Number(/^verge_origin_tokens_total\{model="leave"\} (\d+)$/m.exec(text)?.[1] ?? 0)
}
