import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import type { KeyRecord } from '../../src/access/keys/record.ts'
import { ROOT } from '../../src/cli/files/project.ts'
import { mintToken, type TokenKey } from '../../src/client/index.ts'
import { KvStore } from '../../src/weights/kv.ts'
import { R2Store } from '../../src/weights/r2.ts'
import { issueKey, storeKey } from '../fixtures/keys.ts'
import { describeInChromium, shots } from '../fixtures/node/chromium.ts'
import { type DocsWorker, startDocsWorker } from '../fixtures/node/docs-worker.ts'
import { builtAssets } from '../fixtures/node/live-worker.ts'
import { startTokenBackend, type TokenBackend } from '../fixtures/node/token-backend.ts'

const OPERATOR = 'operator-of-the-token-tests'
const REVIEW = 'A wonderful film: funny, moving and beautifully played.'
const SLOW_MS = 240_000

let docs: DocsWorker
let backend: TokenBackend
let store: (record: KeyRecord) => Promise<void>
/** Pages of `app` are the ones of tokens; `other` may call the Worker and has none; `foreign` may not even call. */
let app: string
let other: string

/** A key that may mint, and a signing key whose public half is in its record, as `verge keys create --signing` makes them. */
async function backendKey(actions: readonly string[] = ['infer', 'browser', 'mint']) {
  const { d, x } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' })
  const grant = { models: ['reviews', 'kept-*'], actions: [...actions] }
  const { record, text } = await issueKey(grant, { signing: [{ publicKey: x ?? '' }] })
  await store(record)
  const signing = { kty: 'OKP', crv: 'Ed25519', kid: record.id, x: x ?? '', d: d ?? '' } as const satisfies TokenKey
  return { record, text, signing }
}

/** A backend that asks the Worker for its tokens. */
const online =
  (key: string, order: object = {}) =>
  async (): Promise<unknown> => {
    const response = await fetch(`${docs.worker.url}/v1/tokens`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ origins: [app], models: ['reviews'], ...order }),
    })
    return response.json()
  }

/** A backend that signs its tokens itself. */
const offline =
  (key: TokenKey, order: object = {}) =>
  (): Promise<unknown> =>
    mintToken({ key, origins: [app], models: ['reviews'], ...order })

/** Runs a program in a page, with `client`, `local` (the browser's) and `token`, all of the backend's maker of this name. */
function inPage<T>(page: Page, maker: string, program: string): Promise<T> {
  return page.evaluate(`(async () => {
    const url = '${docs.worker.url}'
    const { createBrowserClient } = await import(url + '/browser.js')
    const { createClient } = await import(url + '/client.js')
    const token = async () => (await (await fetch('/token/${maker}', { method: 'POST' })).json()).token
    const client = createClient({ url, token, retries: 0 })
    const local = () => createBrowserClient({ url, token, retries: 0, placement: 'browser' })
    const failure = (promise) => promise.then(() => 'no failure', ({ code, message, status }) => ({ code, message, status }))
    ${program}
  })()`) as Promise<T>
}

/** What the operator is answered. */
async function expected(): Promise<unknown> {
  const response = await fetch(`${docs.worker.url}/run/reviews`, {
    method: 'POST',
    headers: { authorization: `Bearer ${OPERATOR}`, 'content-type': 'application/json' },
    body: JSON.stringify({ inputs: REVIEW }),
  })
  return response.json()
}

const ASK = `client.classify('reviews', ${JSON.stringify(REVIEW)})`

beforeAll(async () => {
  backend = await startTokenBackend()
  app = backend.origin('app')
  other = backend.origin('other')
  docs = await startDocsWorker({ VERGE_API_KEY: OPERATOR, CORS_ALLOW: `${app},${other}` }, [], await builtAssets())
  const bucket = new R2Store((await docs.worker.miniflare.getR2Bucket('BUCKET')) as never)
  const kv = new KvStore((await docs.worker.miniflare.getKVNamespace('KV')) as never)
  store = (record) => storeKey(record, bucket, kv)
  for (const [model, name] of [
    ['reviews', 'reviews'],
    ['digits', 'kept-digits'],
    ['digits', 'payroll'],
  ] as const) {
    const folder = join(ROOT, 'models', model)
    await docs.publish(readFileSync(join(folder, 'verge.json'), 'utf8'), folder, { name, visibility: 'private' })
  }
}, SLOW_MS)
beforeEach(() => {
  backend.makers.clear()
  backend.asked.length = 0
})
afterAll(async () => {
  await docs?.dispose()
  await backend?.dispose()
})

describeInChromium('a page with tokens of its backend', (browser) => {
  const open = (origin = app, expectedProblems: readonly RegExp[] = []) =>
    browser.open(`${origin}/page`, { expected: expectedProblems })

  it('runs a private model that anybody else does not see', async () => {
    const { text } = await backendKey()
    backend.makers.set('mint', online(text))
    const page = await open(app, [/404/])
    const [answer, models, without] = await inPage<[unknown, { id: string }[], object]>(
      page,
      'mint',
      `return [await ${ASK}, await client.models(), await failure(createClient({ url }).classify('reviews', 'text'))]`,
    )
    expect(answer).toEqual(await expected())
    expect(models.map(({ id }) => id)).toEqual(['reviews'])
    expect(without).toMatchObject({ code: 'model_not_found' })
    // One token for all requests.
    expect(backend.asked).toEqual(['mint'])
  })

  it(
    'runs it here, too: the plan and the weights come by the same tokens',
    async () => {
      const { text } = await backendKey()
      backend.makers.set('both', online(text, { actions: ['infer', 'browser'] }))
      const answer = await inPage(
        await open(),
        'both',
        `const here = local(); let place
       const answer = await here.classify('reviews', ${JSON.stringify(REVIEW)}, { onAnswer: (info) => { place = info.place } })
       here.dispose()
       return { answer, place }`,
      )
      expect(answer).toEqual({ answer: await expected(), place: 'browser' })
      expect(backend.asked).toEqual(['both'])
    },
    SLOW_MS,
  )

  it('does not run it here where the token is for the server alone', async () => {
    const { text } = await backendKey()
    backend.makers.set('mint', online(text))
    const refused = await inPage(
      await open(app, [/403/]),
      'mint',
      `return failure(local().classify('reviews', 'text'))`,
    )
    expect(refused).toMatchObject({ status: 403 })
  })

  it('has tokens that the backend signed itself, with what the key may', async () => {
    const { signing } = await backendKey(['infer'])
    backend.makers.set('sign', offline(signing, { models: ['reviews', 'payroll'] }))
    const [answer, beyond] = await inPage<[unknown, object]>(
      await open(app, [/404/]),
      'sign',
      `return [await ${ASK}, await failure(client.run('payroll', 'text'))]`,
    )
    expect(answer).toEqual(await expected())
    expect(beyond).toMatchObject({ code: 'model_not_found' })
  })

  it('may do nothing that the token does not name: another model, mint, read usage, what the operator does', async () => {
    const { text } = await backendKey()
    backend.makers.set('mint', online(text))
    const refused = await inPage<Record<string, unknown>>(
      await open(app, [/40[134]/]),
      'mint',
      `const value = await token()
       const send = async (path, body) => {
         const response = await fetch(url + path, {
           method: body === undefined ? 'GET' : 'POST',
           headers: { authorization: 'Bearer ' + value, ...(body && { 'content-type': 'application/json' }) },
           ...(body && { body: JSON.stringify(body) }),
         })
         return [response.status, (await response.json()).error?.code]
       }
       return {
         model: await failure(client.run('kept-digits', 'text')),
         mint: await send('/v1/tokens', { origins: [location.origin], models: ['reviews'] }),
         usage: await send('/v1/usage'),
         explain: await send('/explain/reviews'),
         store: await send('/store?list=alias/'),
       }`,
    )
    expect(refused).toMatchObject({
      model: { code: 'model_not_found', status: 404 },
      mint: [403, 'forbidden'],
      explain: [expect.any(Number), expect.any(String)],
      store: [expect.any(Number), expect.any(String)],
    })
    for (const { 0: status } of [refused.usage, refused.explain, refused.store] as [number][])
      expect([401, 403, 404]).toContain(status)
  })

  it('is the only page that may use them', async () => {
    const { text } = await backendKey()
    backend.makers.set('mint', online(text))
    const elsewhere = await inPage(await open(other, [/403/]), 'mint', `return failure(${ASK})`)
    expect(elsewhere).toMatchObject({ code: 'forbidden', status: 403 })
    // A program that says nothing of a page.
    const { token } = (await online(text)()) as { token: string }
    const response = await fetch(`${docs.worker.url}/v1/models`, { headers: { authorization: `Bearer ${token}` } })
    expect(response.status).toBe(403)
  })

  it('of an origin that CORS_ALLOW does not let in gets no token', async () => {
    const { text } = await backendKey()
    const origin = backend.origin('foreign')
    expect(await online(text, { origins: [origin] })()).toMatchObject({
      error: { code: 'invalid_request', message: expect.stringContaining('CORS_ALLOW') },
    })
  })

  it('of the Worker’s own origin needs no header that browsers leave out of a GET', async () => {
    const { signing } = await backendKey()
    const { url } = docs.worker
    const { token } = (await offline(signing, { origins: [url] })()) as { token: string }
    const page = await browser.open(`${url}/`)
    const ids = await page.evaluate(
      `fetch('/v1/models', { headers: { authorization: 'Bearer ${token}' } }).then((r) => r.json()).then(({ data }) => data.map(({ id }) => id))`,
    )
    expect(ids).toEqual(['reviews'])
  })

  it('of the playground takes one, and keeps it in memory alone', async () => {
    const { signing } = await backendKey()
    const { url } = docs.worker
    const minted = async (order: object = {}) =>
      ((await offline(signing, { origins: [url], actions: ['infer', 'browser'], ...order })()) as { token: string })
        .token
    // With another key, a list that is under way is asked for again.
    const page = await browser.open(url, { expected: [/GET \S+\/models net::ERR_ABORTED/] })
    await page.getByText('Key or token').first().click()
    await page.getByLabel('Key or token').fill(await minted())
    await page.getByRole('button', { name: 'Use key' }).click()
    await page.getByText('Browser token', { exact: true }).waitFor()
    await page.getByRole('link', { name: /^reviews.*private/ }).click()
    await page.getByRole('heading', { level: 1, name: 'reviews' }).waitFor()
    await page.getByRole('button', { name: 'Run', exact: true }).click()
    await page
      .getByText(/^Answered in/)
      .first()
      .waitFor()
    await shots(page, 'page-token')
    const kept = await page.evaluate(
      'JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href])',
    )
    expect(kept).not.toContain('verge_bt_')
    browser.expectProblem(/401/)
    await page.getByText('Browser token', { exact: true }).click()
    await page.getByLabel('Key or token').fill(await minted({ now: () => Date.now() - 3_600_000 }))
    await page.getByRole('button', { name: 'Use key' }).click()
    await page.getByText('Key not accepted').waitFor()
  })

  it('goes on with another token where one has ended, and hears of it where there is no other', async () => {
    const { signing } = await backendKey()
    const past = { now: () => Date.now() - 3_600_000 }
    let made = 0
    backend.makers.set('late', () => offline(signing, ++made === 1 ? past : {})())
    const page = await open(app, [/401/])
    expect(await inPage(page, 'late', `return ${ASK}`)).toEqual(await expected())
    expect(backend.asked).toEqual(['late', 'late'])
    backend.makers.set('ended', offline(signing, past))
    expect(await inPage(page, 'ended', `return failure(${ASK})`)).toMatchObject({
      code: 'unauthorized',
      status: 401,
      message: expect.stringMatching(/expired at/),
    })
  })

  it(
    'stores no token',
    async () => {
      const { text } = await backendKey()
      backend.makers.set('both', online(text, { actions: ['infer', 'browser'] }))
      const kept = await inPage<string>(
        await open(),
        'both',
        `await ${ASK}
       const here = local()
       await here.prepare('reviews')
       const texts = [JSON.stringify(localStorage), JSON.stringify(sessionStorage), document.cookie, location.href]
       const read = async (folder) => {
         for await (const entry of folder.values()) {
           if (entry.kind === 'directory') await read(entry)
           else if (entry.name.endsWith('.json')) texts.push(await (await entry.getFile()).text())
         }
       }
       await read(await navigator.storage.getDirectory())
       here.dispose()
       return texts.join()`,
      )
      expect(kept).toContain('reviews')
      expect(kept).not.toContain('verge_bt_')
    },
    SLOW_MS,
  )

  it.each(['POST /v1/tokens', 'mintToken'])('has a budget that does not begin again, by %s', async (way) => {
    const { signing, text } = await backendKey()
    const order = { budget: { requests: 3 }, minutes: 60 }
    backend.makers.set('three', way === 'mintToken' ? offline(signing, order) : online(text, order))
    const outcomes = await inPage<unknown[]>(
      await open(app, [/429/]),
      'three',
      `const value = await token()
       const fixed = () => createClient({ url, token: value, retries: 3 })
       const outcomes = []
       for (let i = 0; i < 5; i++) outcomes.push(await fixed().classify('reviews', 'text ' + i).then(() => 'answered', ({ code, status }) => [code, status]))
       const response = await fetch(url + '/v1/embeddings', {
         method: 'POST',
         headers: { authorization: 'Bearer ' + value, 'content-type': 'application/json' },
         body: JSON.stringify({ model: 'reviews', input: 'text' }),
       })
       const { error } = await response.json()
       return [...outcomes, [response.status, error.code]]`,
    )
    const spent = ['budget_spent', 429]
    expect(outcomes).toEqual(['answered', 'answered', 'answered', spent, spent, [429, 'insufficient_quota']])
    // Another token of the same key has a budget of its own.
    expect(await inPage(await open(), 'three', `return ${ASK}`)).toEqual(await expected())
  })

  it('opens a stream with a token, as far as the token goes', async () => {
    const { text } = await backendKey()
    backend.makers.set('mint', online(text))
    const codes = await inPage<unknown[]>(
      await open(),
      'mint',
      `const value = await token()
       const bearer = 'verge-bearer.' + btoa(value).replace(/\\+/g, '-').replace(/\\//g, '_').replace(/=+$/, '')
       const opened = (model, protocols) => new Promise((resolve) => {
         const socket = new WebSocket(url.replace('http', 'ws') + '/stream/' + model, protocols)
         socket.onmessage = ({ data }) => resolve(JSON.parse(data).error?.code ?? data)
       })
       return [
         await opened('reviews', ['verge-stream', bearer]),
         await opened('payroll', ['verge-stream', bearer]),
         await opened('reviews', ['verge-stream']),
       ]`,
    )
    // The first is let in, to a model that hears nothing.
    expect(codes).toEqual(['task_mismatch', 'model_not_found', 'model_not_found'])
  })

  it(
    'loses its tokens soon after their key was revoked',
    async () => {
      const { record, text, signing } = await backendKey()
      backend.makers.set('mint', online(text))
      backend.makers.set('sign', offline(signing))
      const page = await open(app, [/401/])
      expect(await inPage(page, 'sign', `globalThis.kept = client; return ${ASK}`)).toEqual(await expected())
      await store({ ...record, revokedAt: Math.floor(Date.now() / 1000), generation: 2 })
      // As long as an isolate remembers a key.
      const code = () =>
        inPage<{ code?: string }>(page, 'sign', `return failure(${ASK})`).then((refused) => refused.code ?? 'accepted')
      await expect.poll(code, { timeout: 120_000, interval: 2_000 }).toBe('unauthorized')
      expect(await inPage(page, 'sign', `return failure(kept.classify('reviews', 'text'))`)).toMatchObject({
        message: expect.stringMatching(/was revoked/),
      })
      expect(await online(text)()).toMatchObject({ error: { code: 'unauthorized' } })
    },
    SLOW_MS,
  )
})
