import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { blobKey } from '../../src/catalog/keys.ts'
import { ROOT } from '../../src/cli/files/project.ts'
import { type PackedModel, packFolder } from '../../src/cli/pack/packer.ts'
import { publish } from '../../src/cli/push/publish.ts'
import { freePort } from '../../src/cli/terminal/port.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { writerFor } from '../fixtures/node/publish.ts'

const KEY = 'a-secret-of-the-operator-0123456789'

interface Check {
  readonly area: string
  readonly status: 'ok' | 'warn' | 'fail' | 'skip'
  readonly finding: string
  readonly fix?: string
}

interface Diagnosis {
  readonly code: number
  readonly checks: readonly Check[]
  readonly output: string
}

let digits: PackedModel
let reviews: PackedModel
let worker: LiveWorker | undefined
/** Workers that several tests look at, by their key. A start takes longer than a test. */
const lasting = new Map<string | undefined, Promise<LiveWorker>>()
let server: Server | undefined

beforeAll(async () => {
  digits = await packFolder(join(ROOT, 'models/digits'))
  reviews = await packFolder(join(ROOT, 'models/reviews'))
})
afterAll(async () => {
  for (const each of lasting.values()) await (await each).dispose()
})
afterEach(async () => {
  await worker?.dispose()
  worker = undefined
  server?.closeAllConnections()
  server?.close()
  server = undefined
})

async function start(models: readonly PackedModel[], vars: Readonly<Record<string, string>> = {}): Promise<LiveWorker> {
  worker = await startLiveWorker(vars)
  return publishAll(worker, models)
}

async function publishAll(to: LiveWorker, models: readonly PackedModel[]): Promise<LiveWorker> {
  const writer = await writerFor(to)
  for (const model of models) await publish(writer, model)
  return to
}

/** A Worker that is well, for tests that change nothing of it. With a key, its second model is private. */
function healthy(key?: string): Promise<LiveWorker> {
  const started =
    lasting.get(key) ??
    (key === undefined
      ? startLiveWorker().then((it) => publishAll(it, [digits, reviews]))
      : startLiveWorker({ VERGE_API_KEY: key }).then((it) =>
          publishAll(it, [digits, { ...reviews, visibility: 'private' }]),
        ))
  lasting.set(key, started)
  return started
}

/** `verge doctor --json` as a person runs it. Every run is also searched for the key. */
async function diagnose(url: string, env: NodeJS.ProcessEnv = {}, ...args: string[]): Promise<Diagnosis> {
  const command = [join(ROOT, 'scripts/verge.ts'), 'doctor', '--url', url, '--requests', '3', '--json', ...args]
  const { code, output } = await new Promise<{ code: number; output: string }>((resolve) => {
    execFile(
      process.execPath,
      command,
      { cwd: ROOT, env: { PATH: process.env.PATH, ...env } },
      (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code), output: stdout + stderr }),
    )
  })
  if (env.VERGE_API_KEY !== undefined) expect(output).not.toContain(env.VERGE_API_KEY)
  const { ok, checks } = JSON.parse(output) as { ok: boolean; checks: Check[] }
  expect(ok).toBe(code === 0)
  for (const check of checks) {
    if (check.status === 'fail' || check.status === 'warn') expect(check.fix, check.finding).toMatch(/\S/)
  }
  return { code, checks, output }
}

const failures = ({ checks }: Diagnosis): string[] =>
  checks.filter(({ status }) => status === 'fail').map(({ area, finding }) => `${area}: ${finding}`)

/** Starts a server in front. Where its listener fails, the client's connection breaks, as that of a proxy does. */
async function serve(listener: (...exchange: Parameters<RequestListener>) => unknown): Promise<string> {
  server = createServer(async (request, response) => {
    try {
      await listener(request, response)
    } catch {
      // The Worker refuses a body that is too large before all of it was sent: passing it on may end with EPIPE.
      response.destroy()
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

describe('verge doctor against a Worker that is well', () => {
  it('passes, checks both models with their right answers, and everything in front of them', async () => {
    const { url } = await healthy()
    const diagnosis = await diagnose(url)
    expect(failures(diagnosis)).toEqual([])
    expect(diagnosis.code).toBe(0)
    const good = diagnosis.checks
      .filter(({ status }) => status === 'ok')
      .map(({ area, finding }) => `${area}: ${finding}`)
    for (const expected of [
      /^address: .* is Verge$/,
      /^version: .*as here/,
      /^health: the engine works: verge [\d.]+(, ort [\d.]+)?$/,
      /^models: digits, reviews$/,
      /^model digits: answers "5"/,
      /^model digits: ran at: edge/,
      /^model digits: verge-\w+ answers a fixed input with the same bits as where it was packed$/,
      /^model digits: first answer after \d+ ms, warm p50 [\d.]+ ms, p95 [\d.]+ ms \(3 requests, each computed\)/,
      /^model digits: browsers may download it: \d+ chunks \([\d.]+ \w+\); the first has its digest$/,
      /^model reviews: answers "positive"/,
      /^model reviews: browsers may download it/,
      /^model reviews: verge-\w+ answers a fixed input with the same bits as where it was packed$/,
      /^errors: .*404 not_found/,
      /^errors: .*404 model_not_found/,
      /^errors: .*405/,
      /^errors: .*401 unauthorized/,
      /^errors: .*400 invalid_json/,
      /^errors: .*413 body_too_large/,
      /^CORS: .*may call/,
      /^headers: x-content-type-options/,
    ]) {
      expect(good).toContainEqual(expect.stringMatching(expected))
    }
  })

  it('measures what is computed, and not what is kept', async () => {
    const { url } = await healthy()
    const outcomes: (string | null)[] = []
    const front = await serve(async (request, response) => {
      const parts: Buffer[] = []
      for await (const part of request) parts.push(part as Buffer)
      const { host: _host, connection: _connection, 'content-length': _length, ...headers } = request.headers
      const answer = await fetch(url + request.url, {
        method: request.method ?? 'GET',
        headers: headers as Record<string, string>,
        ...(parts.length > 0 && { body: new Uint8Array(Buffer.concat(parts)) }),
      })
      if (request.url === '/run/digits' && answer.status === 200) outcomes.push(answer.headers.get('verge-cache'))
      // what was compressed has been unpacked by now
      const unpacked = [...answer.headers].filter(
        ([name]) => !/^(content-(encoding|length)|transfer-encoding)$/.test(name),
      )
      response.writeHead(answer.status, Object.fromEntries(unpacked))
      response.end(Buffer.from(await answer.arrayBuffer()))
    })
    await diagnose(front)
    expect(outcomes.length).toBeGreaterThanOrEqual(4)
    expect(outcomes).not.toContain('hit')
    expect(new Set(outcomes)).toEqual(new Set(['bypass']))
  })

  it('says that a key is one that no request can carry', async () => {
    const { url } = await healthy()
    const diagnosis = await diagnose(url, { VERGE_API_KEY: 'schlüssel-des-betreibers' })
    expect(failures(diagnosis)).toEqual(['key: VERGE_API_KEY contains a character that is not allowed in a header'])
  })

  it('sees with the key that private models are hidden', async () => {
    const { url } = await healthy(KEY)
    const diagnosis = await diagnose(url, { VERGE_API_KEY: KEY })
    expect(failures(diagnosis)).toEqual([])
    const found = diagnosis.checks.map(({ area, status, finding }) => `${status} ${area}: ${finding}`)
    expect(found).toContain('ok models: digits, reviews; 1 of them private')
    expect(found).toContain('ok privacy: without a key /v2/models/reviews does not exist')
    expect(found).toContainEqual(expect.stringMatching(/^ok model reviews: answers "positive"/))
  })
})

describe('verge doctor against one that is not', () => {
  it('no models', async () => {
    const { url } = await start([])
    const diagnosis = await diagnose(url)
    expect(diagnosis.code).toBe(1)
    expect(failures(diagnosis)).toEqual(['models: no model is visible'])
    expect(diagnosis.checks.find(({ status }) => status === 'fail')?.fix).toContain('verge setup')
  })

  it('a chunk missing in R2', async () => {
    const { url, miniflare } = await start([digits, { ...reviews, hot: false }])
    const edge = reviews.manifest.artifacts.find(({ places }) => places.includes('edge'))
    const bucket = await miniflare.getR2Bucket('BUCKET')
    await bucket.delete(blobKey(edge?.chunks[0]?.sha256 ?? ''))
    const diagnosis = await diagnose(url)
    expect(diagnosis.code).toBe(1)
    expect(failures(diagnosis)).toEqual([expect.stringMatching(/^model reviews: does not answer: HTTP 503/)])
    expect(diagnosis.checks.find(({ status }) => status === 'fail')?.fix).toContain('Push the model again')
  })

  it('a wrong key, and goes on as a stranger', async () => {
    const { url } = await healthy(KEY)
    const diagnosis = await diagnose(url, { VERGE_API_KEY: 'another-key-of-somebody-else' })
    expect(diagnosis.code).toBe(1)
    expect(failures(diagnosis)).toEqual([expect.stringMatching(/^key: VERGE_API_KEY is not accepted: HTTP 401/)])
    expect(diagnosis.checks).toContainEqual(
      expect.objectContaining({ area: 'model digits', status: 'ok', finding: expect.stringContaining('answers "5"') }),
    )
  })

  it('CORS off', async () => {
    const { url } = await start([digits], { CORS_ALLOW: '' })
    const diagnosis = await diagnose(url)
    expect(failures(diagnosis)).toEqual([expect.stringMatching(/^CORS: pages of https:\/\/example.com may not call/)])
    expect(diagnosis.checks.find(({ status }) => status === 'fail')?.fix).toContain('CORS_ALLOW')
  })

  it('another page let in than the one that should be', async () => {
    const { url } = await start([digits], { CORS_ALLOW: 'https://app.example.org' })
    expect(failures(await diagnose(url, {}, '--origin', 'https://app.example.org'))).toEqual([])
    expect(failures(await diagnose(url, {}, '--origin', 'https://www.example.org'))).toHaveLength(1)
  })

  it('another model under a known name', async () => {
    const labels = digits.manifest.labels?.map((label) => `not ${label}`) ?? []
    const { url } = await start([{ ...digits, manifest: { ...digits.manifest, labels } }])
    expect(failures(await diagnose(url))).toEqual([expect.stringMatching(/^model digits: answers .*not "5"$/)])
  })

  it('an engine that computes other numbers than the manifest has', async () => {
    const artifacts = digits.manifest.artifacts.map((artifact) =>
      artifact.answer === undefined
        ? artifact
        : { ...artifact, answer: { ...artifact.answer, sha256: '0123456789abcdef'.repeat(4) } },
    )
    const { url } = await start([{ ...digits, manifest: { ...digits.manifest, artifacts } }])
    const diagnosis = await diagnose(url)
    expect(diagnosis.code).toBe(1)
    expect(failures(diagnosis)).toEqual([
      expect.stringMatching(/^model digits: verge-\w+ answers a fixed input with other bits .*, not 0123456789ab$/),
    ])
    expect(diagnosis.checks.find(({ status }) => status === 'fail')?.fix).toContain('Deploy the Worker again')
  })

  it('no engine of its own, whose answers are then not compared', async () => {
    const { url } = await start([digits], { ENGINES: 'onnxruntime' })
    const diagnosis = await diagnose(url)
    expect(failures(diagnosis)).toEqual([])
    expect(diagnosis.checks).toContainEqual(
      expect.objectContaining({ area: 'model digits', status: 'skip', finding: expect.stringContaining('bit by bit') }),
    )
  })

  it('a configuration that the Worker refuses', async () => {
    const { url } = await start([digits], { ADMITTED_REQUESTS: 'many' })
    const diagnosis = await diagnose(url)
    expect(diagnosis.code).toBe(1)
    expect(failures(diagnosis)).toEqual([expect.stringMatching(/^address: .*is not Verge/)])
  })

  it('nothing listening', async () => {
    const diagnosis = await diagnose(`http://127.0.0.1:${await freePort()}`)
    expect(diagnosis.code).toBe(1)
    expect(failures(diagnosis)).toEqual([expect.stringContaining('does not answer (ECONNREFUSED)')])
  })

  it('a server that is not Verge', async () => {
    const url = await serve((_request, response) => response.end('<h1>Welcome</h1>'))
    const diagnosis = await diagnose(url)
    expect(failures(diagnosis)).toEqual([expect.stringContaining('is not Verge: HTTP 200')])
    expect(diagnosis.checks.find(({ status }) => status === 'fail')?.fix).toContain('Another program')
  })

  it("Cloudflare's page for too much CPU", async () => {
    const url = await serve((_request, response) => response.writeHead(503).end('error code: 1102'))
    const [failure] = (await diagnose(url)).checks.filter(({ status }) => status === 'fail')
    expect(failure?.fix).toContain('free plan')
  })

  it('a redirect, to which the key is not taken', async () => {
    const asked: (string | undefined)[] = []
    const url = await serve((request, response) => {
      asked.push(request.headers.authorization)
      response.writeHead(301, { location: 'https://elsewhere.example/' }).end()
    })
    const diagnosis = await diagnose(url, { VERGE_API_KEY: KEY })
    expect(failures(diagnosis)).toEqual([expect.stringContaining('redirects to https://elsewhere.example')])
    expect(asked).toEqual([undefined])
  })

  it('something in front that caches, drops headers and swallows preflights', async () => {
    const behind = await healthy()
    const url = await serve(async (request, response) => {
      if (request.method === 'OPTIONS') return response.writeHead(204).end()
      const body: Buffer[] = []
      for await (const part of request) body.push(part as Buffer)
      const { method = 'GET', headers } = request
      const passed = Object.fromEntries(
        ['content-type', 'authorization'].flatMap((n) => (headers[n] ? [[n, String(headers[n])]] : [])),
      )
      const answer = await fetch(behind.url + request.url, {
        method,
        headers: passed,
        ...(method !== 'GET' && method !== 'DELETE' && { body: Buffer.concat(body) }),
      })
      response.writeHead(answer.status, { 'content-type': 'application/json', 'cache-control': 'max-age=600' })
      response.end(Buffer.from(await answer.arrayBuffer()))
    })
    const found = failures(await diagnose(url)).join('\n')
    expect(found).toContain('headers: cache-control is max-age=600')
    expect(found).toContain('headers: x-content-type-options is missing')
    expect(found).toContain('model digits: does not answer the fixed input of its manifest: HTTP 400')
    expect(found).toContain('errors: an unknown path: the answer has no request id')
    expect(found).toContain('CORS: pages of https://example.com may not call')
  })

  it('a key that would travel in clear is not sent', async () => {
    const command = [join(ROOT, 'scripts/verge.ts'), 'doctor', '--url', 'http://verge.example.com']
    const env = { PATH: process.env.PATH, VERGE_API_KEY: KEY }
    const output = await new Promise<string>((resolve) => {
      execFile(process.execPath, command, { cwd: ROOT, env }, (_error, stdout, stderr) => resolve(stdout + stderr))
    })
    expect(output).toContain('is not sent over http://')
    expect(output).not.toContain(KEY)
  })
})
