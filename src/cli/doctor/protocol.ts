import { setTimeout } from 'node:timers/promises'
import { PLACE_HEADER, REQUEST_ID_HEADER } from '../../core/headers.ts'
import { LIMITS } from '../../core/limits.ts'
import { type Check, fail, ok, skip, warn } from './check.ts'
import { codeOf, fieldOf, gist, type Visitor, type VisitorResponse } from './visitor.ts'

const ERRORS = 'errors'

interface Refusal {
  readonly what: string
  readonly status: number
  readonly code: string
  ask(): Promise<VisitorResponse>
}

/** Checks the Worker's limits only, because origins have their own. */
const AT_EDGE = { 'content-type': 'application/json', [PLACE_HEADER]: 'edge' }
const BROKEN = '{"inputs": ['

/** Checks that invalid requests are refused as documented. @param models visible models */
export async function checkErrors(visitor: Visitor, models: readonly string[]): Promise<Check[]> {
  const json = 'application/json'
  const model = await firstAtEdge(visitor, models)
  const refusals: Refusal[] = [
    { what: 'an unknown path', status: 404, code: 'not_found', ask: () => visitor.ask('/no/such/path') },
    {
      what: 'an unknown model',
      status: 404,
      code: 'model_not_found',
      ask: () => visitor.post('/run/no-such-model', json, '{"inputs": ""}'),
    },
    {
      what: 'a wrong method',
      status: 405,
      code: 'method_not_allowed',
      ask: () => visitor.ask('/healthz', { method: 'DELETE' }),
    },
    {
      what: 'a wrong key, where one is needed',
      status: 401,
      code: 'unauthorized',
      ask: () => visitor.ask('/v2/models/no-such-model', { headers: { authorization: 'Bearer not-a-key-of-anybody' } }),
    },
  ]
  if (model !== undefined) {
    const path = `/v2/models/${model}/infer`
    refusals.push(
      {
        what: 'broken JSON',
        status: 400,
        code: 'invalid_json',
        ask: () => visitor.ask(path, { method: 'POST', headers: AT_EDGE, body: BROKEN, asOperator: true }),
      },
      {
        what: 'a body above the limit',
        status: 413,
        code: 'body_too_large',
        ask: () => askWithLargeBody(visitor, path),
      },
    )
  }
  const checks: Check[] = []
  for (const refusal of refusals) checks.push(await checkRefusal(refusal))
  if (model === undefined) {
    checks.push(skip(ERRORS, 'invalid JSON and large bodies: no model at the edge can receive them'))
  }
  return checks
}

/** The first that can run in the Worker itself. */
async function firstAtEdge(visitor: Visitor, models: readonly string[]): Promise<string | undefined> {
  for (const model of models) {
    const visit = { method: 'POST', headers: AT_EDGE, body: BROKEN, asOperator: true }
    const answer = await visitor.ask(`/v2/models/${model}/infer`, visit)
    if (codeOf(answer) !== 'placement_impossible') return model
  }
  return undefined
}

const PIECE_BYTES = 65_536
/** For something in front of the Worker that collects a body to its end before it passes the request on. */
const END_AFTER_MS = 2_000

/**
 * Sends one byte more than the limit, without a length, and ends the body once there is an answer. A server that refuses a
 * body by its length closes the connection while the client still sends, and the answer is often lost.
 */
async function askWithLargeBody(visitor: Visitor, path: string): Promise<VisitorResponse> {
  const answered = new AbortController()
  let left = LIMITS.requestBodyBytes + 1
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const bytes = Math.min(left, PIECE_BYTES)
        left -= bytes
        if (bytes > 0) {
          controller.enqueue(new Uint8Array(bytes).fill(0x20))
          return
        }
        await setTimeout(END_AFTER_MS, undefined, { signal: answered.signal }).catch(() => undefined)
        controller.close()
      },
      cancel: () => answered.abort(),
    },
    { highWaterMark: 0 },
  )
  try {
    return await visitor.ask(path, { method: 'POST', headers: AT_EDGE, body, asOperator: true })
  } finally {
    answered.abort()
  }
}

/** A connection may break between here and the Worker. */
const ATTEMPTS = 4

async function askAgain(ask: () => Promise<VisitorResponse>, attempt = 1): Promise<VisitorResponse> {
  try {
    return await ask()
  } catch (error) {
    if (attempt === ATTEMPTS) throw error
    return askAgain(ask, attempt + 1)
  }
}

async function checkRefusal({ what, status, code, ask }: Refusal): Promise<Check> {
  const fix = 'A cache or firewall rule in front of the Worker answers, or the Worker is another version.'
  let answer: VisitorResponse
  try {
    answer = await askAgain(ask)
  } catch (error) {
    return warn(
      ERRORS,
      `${what}: the connection broke (${reasonOf(error)})`,
      'Run the doctor again. If the problem remains, check the proxies and rules in front of the Worker.',
    )
  }
  const id = fieldOf(answer.json, 'error', 'request_id') ?? fieldOf(answer.json, 'request_id')
  if (answer.status !== status || codeOf(answer) !== code) {
    return fail(ERRORS, `${what} is answered with ${gist(answer)}, not ${status} ${code}`, fix)
  }
  if (typeof id !== 'string' || id !== answer.headers.get(REQUEST_ID_HEADER)) {
    return fail(ERRORS, `${what}: the answer has no request id`, fix)
  }
  return ok(ERRORS, `${what}: ${status} ${code}`)
}

/** @param origin a page that should be let in; null if the configuration lets none in */
export async function checkCors(visitor: Visitor, origin: string | null): Promise<Check[]> {
  const area = 'CORS'
  const asked = origin ?? 'https://example.com'
  const answer = await visitor.ask('/run/any-model', {
    method: 'OPTIONS',
    headers: {
      origin: asked,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'content-type,authorization',
    },
  })
  const allowed = answer.headers.get('access-control-allow-origin')
  const letIn = allowed === '*' || allowed === asked
  if (origin === null) {
    if (!letIn) return [ok(area, 'pages of other origins may not call, as configured')]
    return [
      warn(
        area,
        'any page may call, although CORS_ALLOW is empty here',
        'Deploy again: the Worker has an older configuration.',
      ),
    ]
  }
  if (!letIn) {
    const fix = `Add it to CORS_ALLOW in wrangler.toml and deploy, or check another page: --origin https://...`
    return [fail(area, `pages of ${asked} may not call: the browser reports "blocked by CORS policy"`, fix)]
  }
  const lists = (name: string): string[] =>
    (answer.headers.get(name) ?? '').split(',').map((item) => item.trim().toLowerCase())
  const missing = ['content-type', 'authorization'].filter(
    (name) => !lists('access-control-allow-headers').includes(name),
  )
  if (!lists('access-control-allow-methods').includes('post') || missing.length > 0) {
    const fix = 'A rule in front of the Worker answers preflight requests. Let OPTIONS pass.'
    return [
      fail(area, `pages of ${asked} may call, but not with POST or with ${missing.join(', ') || 'these headers'}`, fix),
    ]
  }
  return [ok(area, `pages of ${asked} may call`)]
}

/** @param answer of the Worker's first page */
export function checkHeaders(visitor: Visitor, answer: VisitorResponse): Check[] {
  const area = 'headers'
  const wanted = { 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' }
  const checks = Object.entries(wanted).map(([name, value]) => {
    const found = answer.headers.get(name)
    if (found?.includes(value)) return ok(area, `${name}: ${value}`)
    const fix =
      'A rule in front of the Worker changes headers, or the Worker is another version. This header keeps answers from being cached or sniffed.'
    return fail(area, `${name} is ${found ?? 'missing'}, not ${value}`, fix)
  })
  if (answer.headers.get(REQUEST_ID_HEADER) === null) {
    checks.push(
      fail(
        area,
        'x-request-id is missing',
        'Without it you cannot find an answer in the log. Check the proxies and rules in front of the Worker.',
      ),
    )
  }
  if (visitor.origin.startsWith('https:') || /^http:\/\/(localhost|127\.|\[::1\])/.test(visitor.origin)) return checks
  return [
    ...checks,
    warn(area, 'the address is not https://', 'The connection is not encrypted. Use the https:// address.'),
  ]
}

/** Checks that private models look like models that do not exist to callers without a key. */
export async function checkPrivacy(visitor: Visitor, hidden: readonly string[]): Promise<Check[]> {
  const area = 'privacy'
  if (!visitor.hasKey) return [skip(area, 'private models: set VERGE_API_KEY to check that they are hidden')]
  const [model] = hidden
  if (model === undefined) return [skip(area, 'there are no private models')]
  const checks: Check[] = []
  for (const path of [`/v2/models/${model}`, `/v1/models/${model}`]) {
    const stranger = await visitor.ask(path)
    const unknown = await visitor.ask(path.replace(model, 'no-such-model'))
    const same = stranger.status === unknown.status && codeOf(stranger) === codeOf(unknown)
    checks.push(
      same && stranger.status === 404
        ? ok(area, `without a key ${path} does not exist`)
        : fail(
            area,
            `without a key ${path} answers HTTP ${stranger.status}`,
            'A rule in front of the Worker adds the key, or caches answers.',
          ),
    )
  }
  return checks
}

/** Why there was no answer, in a few words. */
export function reasonOf(error: unknown): string {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (typeof code === 'string') return code
  }
  return error instanceof Error ? error.message : String(error)
}
