import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'
import { packFolder } from '../../src/cli/pack/packer.ts'
import { publish } from '../../src/cli/push/publish.ts'
import { identityModel } from '../../synthetic/onnx-models.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { publishModel, writerFor } from '../fixtures/node/publish.ts'
import { type CallerMethod, callBinding, callingWorker, picture, type Reply } from '../fixtures/node/rpc-caller.ts'

const KEY = 'a-key-for-bindings-0123456789'
/** Errors crossed the bindings of this date as text. */
const OLD_DATE = '2025-01-01'

describe('another Worker', () => {
  let worker: LiveWorker

  beforeAll(async () => {
    worker = await startLiveWorker(
      {
        VERGE_API_KEY: KEY,
        RPC_CALLERS: 'shop, search',
        RESULT_CACHE_TTL_SECONDS: '600',
        REQUEST_COST_LIMIT: '100',
        LOG_SAMPLE_RATE: '1',
      },
      [
        callingWorker('stranger'),
        callingWorker('shop', { caller: 'shop' }),
        callingWorker('thief', { caller: 'operator' }),
        callingWorker('old', undefined, OLD_DATE),
      ],
    )
    const writer = await writerFor(worker)
    await publish(writer, await packFolder(join(ROOT, 'models/digits')))
    await publish(writer, await packFolder(join(ROOT, 'models/reviews')))
    const echo = (datatype: 'FP32' | 'INT64' | 'BOOL' | 'UINT8', shape: (number | string)[]) => ({
      inputs: [{ name: 'input', datatype, shape }],
      outputs: [{ name: 'output', datatype, shape }],
    })
    await publishModel(writer, 'floats', identityModel('FP32', ['n']), echo('FP32', ['n']))
    await publishModel(writer, 'whole', identityModel('INT64', ['n']), echo('INT64', ['n']))
    await publishModel(writer, 'flags', identityModel('BOOL', ['n']), echo('BOOL', ['n']))
    await publishModel(writer, 'secret', identityModel('FP32', ['n']), echo('FP32', ['n']), { visibility: 'private' })
  })
  afterAll(() => worker.dispose())

  const call = (from: string, method: CallerMethod, ...args: unknown[]): Promise<Reply> =>
    callBinding(worker, from, method, ...args)
  const run = (...args: unknown[]) => call('stranger', 'run', ...args)
  const floats = (...of: number[]) => ({
    tensors: { input: { datatype: 'FP32', shape: [of.length], data: { $array: 'Float32Array', of } } },
  })

  it('runs tasks with texts, lists and pictures, and gets what HTTP answers', async () => {
    const text = 'A quiet film that stays with you.'
    const overHttp = async (model: string, body: unknown) =>
      (
        await fetch(`${worker.url}/run/${model}`, {
          method: 'POST',
          body: JSON.stringify(body),
          headers: { 'content-type': 'application/json' },
        })
      ).json()
    expect(await run('reviews', text)).toEqual({ answer: await overHttp('reviews', { inputs: text }) })
    const inputs = [text, 'A waste of an evening.']
    const parameters = { top_k: 1 }
    expect(await run('reviews', inputs, { parameters })).toEqual({
      answer: await overHttp('reviews', { inputs, parameters }),
    })
    const { answer } = await run('digits', picture(), { parameters: { top_k: 2 }, contentType: 'image/png' })
    expect(answer).toMatchObject([{ label: '7', score: expect.any(Number) }, {}])
    expect(await run('digits', picture(), { parameters: { top_k: 2 } })).toEqual({ answer })
  })

  it('takes a media type with parameters, and bytes that are still to be read', async () => {
    const { answer } = await run('digits', picture(), { contentType: 'image/png; charset=binary' })
    expect(answer).toMatchObject([{ label: '7' }, {}, {}, {}, {}])
    for (const inputs of [
      { $stream: picture() },
      { $blob: picture(), type: 'image/png' },
      { $blob: picture(), type: '' },
      { $response: picture(), type: 'Image/PNG; charset=binary', status: 200 },
      // What a store answers of everything: the task's own type.
      { $response: picture(), type: 'application/octet-stream', status: 206 },
      { $request: picture(), type: 'image/png' },
    ]) {
      expect(await run('digits', inputs), JSON.stringify(Object.keys(inputs))).toEqual({ answer })
    }
    expect((await run('digits', { $blob: picture(), type: 'text/csv' }, { contentType: 'image/png' })).answer).toEqual(
      answer,
    )
  })

  it('is counted under its name, which strangers do not have', async () => {
    const used = async (principal: string): Promise<number> => {
      const response = await fetch(`${worker.url}/v1/usage?group=model&principal=${principal}`, {
        headers: { authorization: `Bearer ${KEY}` },
      })
      const { data } = (await response.json()) as { data: { model: string | null; requests: number }[] }
      return data.find(({ model }) => model === 'floats@1')?.requests ?? 0
    }
    const principals = ['service:shop', 'anonymous']
    const before = await Promise.all(principals.map(used))
    for (let i = 0; i < 3; i++) await call('shop', 'run', 'floats', floats(1, 2))
    await run('floats', floats(1, 2))
    for (const [i, more] of [3, 1].entries())
      await expect.poll(() => used(principals[i] ?? '')).toBe((before[i] ?? 0) + more)
  })

  it('runs tensors, typed both ways', async () => {
    expect(await run('floats', floats(1.5, -2))).toEqual({
      answer: {
        model: 'floats',
        version: '1',
        outputs: {
          output: { datatype: 'FP32', shape: [2], data: { type: 'Float32Array', of: ['1.5', '-2'], buffer: 8 } },
        },
      },
    })
    const exact = ['9007199254740993', '-1']
    const input = { datatype: 'INT64', shape: [2], data: { $array: 'BigInt64Array', of: exact } }
    expect(await run('whole', { tensors: { input } }, { outputs: ['output'] })).toMatchObject({
      answer: { outputs: { output: { data: { type: 'BigInt64Array', of: exact } } } },
    })
    const flags = { datatype: 'BOOL', shape: [2], data: [true, false] }
    expect(await run('flags', { tensors: { input: flags } })).toMatchObject({
      answer: { outputs: { output: { data: { of: ['1', '0'] } } } },
    })
  })

  it('is told what is wrong, by a typed error', async () => {
    expect(await run('absent', 'x', { requestId: 'mine-1' })).toEqual({
      thrown: {
        name: 'VergeError',
        code: 'model_not_found',
        status: 404,
        message: expect.stringContaining('no model "absent"'),
        requestId: 'mine-1',
        remote: true,
        isError: true,
      },
    })
    const input = (datatype: string, shape: number[], data: unknown) => ({
      tensors: { input: { datatype, shape, data } },
    })
    const array = (name: string, ...of: number[]) => ({ $array: name, of })
    for (const [code, ...args] of [
      ['invalid_tensor', 'floats', input('FP32', [3], array('Float32Array', 1, 2))],
      ['invalid_tensor', 'floats', input('FP32', [1], array('Float64Array', 1))],
      ['invalid_tensor', 'floats', input('INT32', [1], array('Int32Array', 1))],
      ['invalid_tensor', 'floats', input('FP32', [1, 1], array('Float32Array', 1))],
      ['invalid_tensor', 'flags', input('BOOL', [1], array('Uint8Array', 2))],
      ['input_too_large', 'floats', input('FP32', [2 ** 30], array('Float32Array', 1))],
      ['invalid_request', 'floats', input('FP99', [1], [1])],
      ['invalid_request', 'floats', { tensors: 5 }],
      ['missing_input', 'floats', { tensors: {} }],
      ['unknown_input', 'floats', { tensors: { other: { datatype: 'FP32', shape: [1], data: [1] } } }],
      ['unknown_output', 'floats', floats(1), { outputs: ['other'] }],
      ['task_mismatch', 'floats', 'a text'],
      ['version_not_found', 'floats', floats(1), { version: '9' }],
      ['unsupported_media_type', 'digits', picture(), { contentType: 'text/plain' }],
      ['invalid_image', 'digits', { $bytes: btoa('not a picture') }],
      ['empty_input', 'reviews', '  '],
      ['invalid_request', 'reviews', 'x', { parameters: { top_k: -1 } }],
      ['invalid_request', 'reviews', 'x', { unknown: 1 }],
      ['invalid_request', 'reviews', { $map: true }],
      ['invalid_request', 'reviews', 'x', { timeoutMs: 0 }],
      ['invalid_request', 'reviews', { $cycle: true }],
      ['invalid_request', 'floats', { tensors: { input: { $cycle: true } } }],
      ['invalid_request', 'reviews', 'x', { parameters: { $cycle: true } }],
      ['unsupported_media_type', 'digits', { $blob: picture(), type: 'text/csv' }],
      ['invalid_request', 'digits', { $response: picture(), type: 'image/png', status: 404 }],
      ['body_too_large', 'digits', { $endless: true }],
      ['invalid_image', 'digits', { $stream: { $bytes: btoa('not a picture') } }],
      ['invalid_request', 'reviews', 'x', { signal: 'now' }],
      ['cancelled', 'reviews', 'x', { signal: { $aborted: true } }],
      ['model_not_found', '../etc', 'x'],
      ['invalid_request', 7, 'x'],
    ] as const) {
      const { thrown, answer } = await run(...args)
      expect(answer, JSON.stringify(args)).toBeUndefined()
      expect(thrown, JSON.stringify(args)).toMatchObject({ code, name: 'VergeError' })
    }
    expect(await run('floats', floats(1))).toHaveProperty('answer')
  })

  it('of an older date has the failure as a value', async () => {
    expect(await call('old', 'tryRun', 'absent', 'x')).toEqual({
      answer: {
        ok: false,
        error: {
          code: 'model_not_found',
          status: 404,
          message: expect.any(String),
          requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
        },
      },
    })
    expect((await call('old', 'run', 'absent', 'x')).thrown?.message).toContain('no model "absent"')
  })

  it('runs private models only with the key, or if its binding is trusted', async () => {
    expect((await run('secret', floats(1))).thrown).toMatchObject({ code: 'model_not_found' })
    expect((await run('secret', floats(1), { token: KEY })).answer).toMatchObject({ model: 'secret' })
    expect((await run('secret', floats(1), { token: 'wrong-wrong-wrong' })).thrown).toMatchObject({
      code: 'unauthorized',
      status: 401,
    })
    expect((await call('shop', 'run', 'secret', floats(1))).answer).toMatchObject({ model: 'secret' })
    // Props that name somebody whom the operator did not let in give no rights and take none away: the same refusal for a
    // private model as for one that is missing, and public models run.
    for (const model of ['secret', 'absent']) {
      expect((await call('thief', 'run', model, floats(1))).thrown).toMatchObject({
        code: 'unauthorized',
        message: expect.stringContaining('RPC_CALLERS'),
      })
    }
    expect((await call('thief', 'run', 'floats', floats(1))).answer).toMatchObject({ model: 'floats' })
    expect((await run('floats', floats(1), { token: 'not-a-key-of-this-worker' })).answer).toMatchObject({
      model: 'floats',
    })
  })

  it('shares the result cache and the limit of cost', async () => {
    const seen: unknown[] = []
    for (let attempt = 0; attempt < 100 && seen.at(-1) !== 'hit'; attempt++) {
      const { answer } = await call('stranger', 'tryRun', 'digits', picture('two'))
      expect(answer).toMatchObject({
        ok: true,
        model: 'digits@3',
        cost: expect.any(Number),
        answer: [{ label: '2' }, {}, {}, {}, {}],
      })
      seen.push((answer as { cache: unknown }).cache)
    }
    expect(seen[0]).toBe('miss')
    expect(seen.at(-1)).toBe('hit')
    const fresh = await call('stranger', 'tryRun', 'digits', picture('two'), { cache: 'no-store' })
    expect(fresh.answer).toMatchObject({ cache: 'bypass' })
    const texts = Array(32).fill(`${'a good film '.repeat(200)}.`)
    expect((await run('reviews', texts)).thrown).toMatchObject({ code: 'cost_too_high', status: 413 })
  })

  it('leaves its callers no more than a line in the log', async () => {
    await run('secret', floats(1), { token: 'hunter2-hunter2', requestId: 'logged-1' })
    const line = worker.logs.find((entry) => entry.includes('logged-1'))
    expect(line).toContain('rpc_refused')
    await run('floats', floats(1), { token: 'hunter2-hunter2', requestId: 'logged-2' })
    const answered = worker.logs.find((entry) => entry.includes('logged-2')) ?? ''
    expect(JSON.parse(answered.slice(answered.indexOf('{')))).toMatchObject({
      event: 'rpc_answered',
      model: 'floats@1',
      caller: 'anonymous',
    })
    expect(worker.logs.join('\n')).not.toContain('hunter2')
  })
})
