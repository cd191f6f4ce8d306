import { describe, expect, it } from 'vitest'
import { type ErrorCode, VergeError } from '../../src/core/errors.ts'
import { errorResponse, errorShapeAt } from '../../src/http/error-response.ts'
import { ERROR_SHAPES } from '../../src/http/error-shapes.ts'
import { PROTOCOLS, type ProtocolName } from '../../src/protocols/names.ts'
import { STATUS } from '../../src/protocols/status.ts'
import { testApp } from '../fixtures/http.ts'

const CODES = Object.keys(STATUS) as ErrorCode[]
const MESSAGE = 'It does not work. Do it another way.'

function answerOf(protocol: ProtocolName, code: ErrorCode, details = {}): Response {
  const cause = new Error('/home/me/key.pem')
  return errorResponse(
    ERROR_SHAPES[protocol],
    new VergeError(code, MESSAGE, { cause, retryAfter: 1.2, details }),
    'id-1',
    {},
  )
}

/** How each protocol's documentation writes a failure, here that of a model which does not exist. */
const DOCUMENTED: Readonly<Record<ProtocolName, { readonly status: number; readonly body: object }>> = {
  verge: { status: 404, body: { error: { code: 'model_not_found', message: MESSAGE, request_id: 'id-1' } } },
  openai: {
    status: 404,
    body: { error: { message: MESSAGE, type: 'invalid_request_error', param: 'model', code: 'model_not_found' } },
  },
  anthropic: {
    status: 404,
    body: { type: 'error', error: { type: 'not_found_error', message: MESSAGE }, request_id: 'id-1' },
  },
  ollama: { status: 404, body: { error: MESSAGE } },
  cohere: { status: 404, body: { message: MESSAGE, id: 'id-1' } },
  jina: { status: 404, body: { detail: MESSAGE } },
  tei: { status: 404, body: { error: MESSAGE, error_type: 'Validation' } },
  vllm: { status: 404, body: { error: { message: MESSAGE, type: 'NotFoundError', param: 'model', code: 404 } } },
  huggingface: { status: 404, body: { error: MESSAGE } },
  oip: { status: 404, body: { error: MESSAGE } },
  'workers-ai': {
    status: 400,
    body: { result: null, success: false, errors: [{ code: 5007, message: MESSAGE }], messages: [] },
  },
}

describe.each(PROTOCOLS)('the errors of %s', (protocol) => {
  it('have the documented shape', async () => {
    const answer = answerOf(protocol, 'model_not_found', { field: 'model' })
    expect(answer.status).toBe(DOCUMENTED[protocol].status)
    expect(await answer.json()).toMatchObject(DOCUMENTED[protocol].body)
  })

  it.each(CODES)('say %s without its cause, as JSON with a status of a failure', async (code) => {
    const answer = answerOf(protocol, code)
    expect(answer.status).toBeGreaterThanOrEqual(400)
    expect(answer.status).toBeLessThan(600)
    expect(answer.headers.get('content-type')).toBe('application/json')
    expect(answer.headers.get('retry-after')).toBe('2')
    const text = await answer.text()
    expect(text).toContain(MESSAGE)
    expect(text).toContain(code)
    expect(text).toContain('id-1')
    expect(text).not.toMatch(/key\.pem|stack/)
  })

  it('tell whose fault it is by their status, as Verge does', () => {
    for (const code of CODES) {
      const { status } = answerOf(protocol, code)
      // 424 of text-embeddings-inference is the model's failure.
      if (status !== 424 && code !== 'deadline_exceeded') expect(status >= 500, code).toBe(STATUS[code] >= 500)
    }
  })

  it.each([
    ['unauthorized', 401],
    ['overloaded', 429],
    ['not_implemented', 501],
    ['body_too_large', 413],
  ] as const)('keep the status of %s', (code, status) => {
    expect(answerOf(protocol, code).status).toBe(status)
  })

  it('are those of unknown paths behind its prefix, and of methods that a path does not have', async () => {
    const { request } = testApp()
    const unknown = await request(`/${protocol}/no/such/path`)
    expect(unknown.status).toBe(404)
    const told = await unknown.text()
    expect(Object.keys(JSON.parse(told) as object)).toEqual(
      expect.arrayContaining(Object.keys(DOCUMENTED[protocol].body)),
    )
    expect(told).toContain('There is nothing at')
  })
})

/** How each protocol's documentation says that a rate has no room, and that a budget is spent. */
const LIMITED: Readonly<
  Record<ProtocolName, { readonly rate: object; readonly budget: object; readonly budgetStatus: number }>
> = {
  verge: {
    rate: { error: { code: 'rate_limited' } },
    budget: { error: { code: 'budget_spent' } },
    budgetStatus: 429,
  },
  openai: {
    rate: { error: { type: 'requests', code: 'rate_limit_exceeded', reason: 'rate_limited' } },
    budget: { error: { type: 'insufficient_quota', code: 'insufficient_quota', reason: 'budget_spent' } },
    budgetStatus: 429,
  },
  anthropic: {
    rate: { type: 'error', error: { type: 'rate_limit_error' } },
    budget: { type: 'error', error: { type: 'billing_error' } },
    budgetStatus: 402,
  },
  ollama: { rate: { error: MESSAGE }, budget: { error: MESSAGE }, budgetStatus: 429 },
  cohere: { rate: { message: MESSAGE }, budget: { message: MESSAGE }, budgetStatus: 402 },
  jina: { rate: { detail: MESSAGE }, budget: { detail: MESSAGE }, budgetStatus: 402 },
  tei: { rate: { error_type: 'Overloaded' }, budget: { error_type: 'Overloaded' }, budgetStatus: 429 },
  vllm: {
    rate: { error: { type: 'RateLimitError', code: 429, reason: 'rate_limited' } },
    budget: { error: { type: 'RateLimitError', code: 429, reason: 'budget_spent' } },
    budgetStatus: 429,
  },
  huggingface: { rate: { error: MESSAGE }, budget: { error: MESSAGE }, budgetStatus: 402 },
  oip: { rate: { error: MESSAGE }, budget: { error: MESSAGE }, budgetStatus: 429 },
  'workers-ai': {
    rate: { errors: [{ code: 3040, message: MESSAGE }] },
    budget: { errors: [{ code: 3036, message: MESSAGE }] },
    budgetStatus: 429,
  },
}

describe.each(PROTOCOLS)('limits in the words of %s', (protocol) => {
  const { budget, budgetStatus, rate } = LIMITED[protocol]

  it('tell a rate, which has room again soon, from a budget', async () => {
    const limited = answerOf(protocol, 'rate_limited')
    expect(limited.status).toBe(429)
    expect(await limited.json()).toMatchObject(rate)
    const spent = answerOf(protocol, 'budget_spent', { budget: 'tokens', period: 'day' })
    expect(spent.status).toBe(budgetStatus)
    const told = await spent.text()
    expect(JSON.parse(told)).toMatchObject(budget)
    expect(told).toContain('"period":"day"')
  })

  it('have a rate repeated, unless it has no room for long, and never a budget', () => {
    const headersOf = (code: ErrorCode, retryAfter: number) =>
      errorResponse(ERROR_SHAPES[protocol], new VergeError(code, MESSAGE, { retryAfter }), 'id-1', {}).headers
    expect(headersOf('rate_limited', 3).get('x-should-retry')).toBeNull()
    expect(headersOf('rate_limited', 3).get('retry-after')).toBe('3')
    expect(headersOf('rate_limited', 600).get('x-should-retry')).toBe('false')
    expect(headersOf('budget_spent', 3).get('x-should-retry')).toBe('false')
    expect(headersOf('limits_unavailable', 3).get('x-should-retry')).toBeNull()
  })
})

describe('text-embeddings-inference', () => {
  it.each([
    ['empty_input', 400, 'Empty'],
    ['input_too_large', 413, 'Validation'],
    ['context_length_exceeded', 413, 'Validation'],
    ['invalid_request', 422, 'Validation'],
    ['run_rejected', 424, 'Backend'],
    ['overloaded', 429, 'Overloaded'],
    ['weights_unavailable', 503, 'Unhealthy'],
  ] as const)('says %s with %i and %s', async (code, status, type) => {
    const answer = answerOf('tei', code)
    expect(answer.status).toBe(status)
    expect(await answer.json()).toMatchObject({ error_type: type })
  })
})

describe('Anthropic', () => {
  it.each([
    ['invalid_request', 'invalid_request_error'],
    ['unauthorized', 'authentication_error'],
    ['forbidden', 'permission_error'],
    ['body_too_large', 'request_too_large'],
    ['overloaded', 'rate_limit_error'],
    ['engine_full', 'overloaded_error'],
    ['internal', 'api_error'],
  ] as const)('calls %s an %s', async (code, type) => {
    const answer = answerOf('anthropic', code)
    expect(await answer.json()).toMatchObject({ error: { type } })
    expect(answer.headers.get('request-id')).toBe('id-1')
  })
})

describe('the shape of a path', () => {
  it.each([
    ['/v1/embeddings', 'openai'],
    ['/v1/unknown', 'openai'],
    ['/openai/v1/unknown', 'openai'],
    ['/v2/models/m/infer', 'oip'],
    ['/v2', 'oip'],
    ['/oip/v2', 'oip'],
    ['/models/m', 'huggingface'],
    ['/models', 'verge'],
    ['/pipeline/summarization/m', 'huggingface'],
    ['/hf-inference/models/m/v1/chat/completions', 'openai'],
    ['/huggingface/hf-inference/models/m/v1/chat/completions', 'openai'],
    ['/huggingface/models/m/v1/unknown', 'openai'],
    ['/huggingface/models/m', 'huggingface'],
    ['/api/unknown', 'ollama'],
    ['/ollama/v1/unknown', 'ollama'],
    ['/anthropic/v1/unknown', 'anthropic'],
    ['/workers-ai/unknown', 'workers-ai'],
    ['/client/v4/unknown', 'workers-ai'],
    ['/run/m', 'verge'],
    ['/rerank', 'verge'],
    ['/v1/rerank', 'openai'],
    ['/openaix/v1', 'verge'],
  ] as const)('%s is that of %s', (path, protocol) => {
    expect(errorShapeAt(path)).toBe(ERROR_SHAPES[protocol])
  })

  it('is that of the default protocol where it answers', () => {
    expect(errorShapeAt('/v1/models', { defaultProtocol: 'openai' })).toBe(ERROR_SHAPES.openai)
    expect(errorShapeAt('/v1/chat', { defaultProtocol: 'cohere' })).toBe(ERROR_SHAPES.cohere)
  })
})
