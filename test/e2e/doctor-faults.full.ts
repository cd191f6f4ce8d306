import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { blobKey } from '../../src/catalog/keys.ts'
import { ROOT } from '../../src/cli/files/project.ts'
import { freePort } from '../../src/cli/terminal/port.ts'
import { DoctorSubjects, diagnose, failures, KEY } from '../fixtures/node/doctor.ts'

let at: DoctorSubjects

beforeAll(async () => {
  at = await DoctorSubjects.open()
})
afterEach(() => at.afterTest())
afterAll(() => at?.close())

describe('verge doctor against one that is not', () => {
  it('no models', async () => {
    const { url } = await at.start([])
    const diagnosis = await diagnose(url)
    expect(diagnosis.code).toBe(1)
    expect(failures(diagnosis)).toEqual(['models: no model is visible'])
    expect(diagnosis.checks.find(({ status }) => status === 'fail')?.fix).toContain('verge setup')
  })

  it('a chunk missing in R2', async () => {
    const { url, miniflare } = await at.start([at.digits, { ...at.reviews, hot: false }])
    const edge = at.reviews.manifest.artifacts.find(({ places }) => places.includes('edge'))
    const bucket = await miniflare.getR2Bucket('BUCKET')
    await bucket.delete(blobKey(edge?.chunks[0]?.sha256 ?? ''))
    const diagnosis = await diagnose(url)
    expect(diagnosis.code).toBe(1)
    expect(failures(diagnosis)).toEqual([expect.stringMatching(/^model reviews: does not answer: HTTP 503/)])
    expect(diagnosis.checks.find(({ status }) => status === 'fail')?.fix).toContain('Push the model again')
  })

  it('a wrong key, and goes on as a stranger', async () => {
    const { url } = await at.healthy(KEY)
    const diagnosis = await diagnose(url, { VERGE_API_KEY: 'another-key-of-somebody-else' })
    expect(diagnosis.code).toBe(1)
    expect(failures(diagnosis)).toEqual([expect.stringMatching(/^key: VERGE_API_KEY is not accepted: HTTP 401/)])
    expect(diagnosis.checks).toContainEqual(
      expect.objectContaining({ area: 'model digits', status: 'ok', finding: expect.stringContaining('answers "5"') }),
    )
  })

  it('CORS off', async () => {
    const { url } = await at.start([at.digits], { CORS_ALLOW: '' })
    const diagnosis = await diagnose(url)
    expect(failures(diagnosis)).toEqual([expect.stringMatching(/^CORS: pages of https:\/\/example.com may not call/)])
    expect(diagnosis.checks.find(({ status }) => status === 'fail')?.fix).toContain('CORS_ALLOW')
  })

  it('another page let in than the one that should be', async () => {
    const { url } = await at.start([at.digits], { CORS_ALLOW: 'https://app.example.org' })
    expect(failures(await diagnose(url, {}, '--origin', 'https://app.example.org'))).toEqual([])
    expect(failures(await diagnose(url, {}, '--origin', 'https://www.example.org'))).toHaveLength(1)
  })

  it('another model under a known name', async () => {
    const labels = at.digits.manifest.labels?.map((label) => `not ${label}`) ?? []
    const { url } = await at.start([{ ...at.digits, manifest: { ...at.digits.manifest, labels } }])
    expect(failures(await diagnose(url))).toEqual([expect.stringMatching(/^model digits: answers .*not "5"$/)])
  })

  it('an engine that computes other numbers than the manifest has', async () => {
    const artifacts = at.digits.manifest.artifacts.map((artifact) =>
      artifact.answer === undefined
        ? artifact
        : { ...artifact, answer: { ...artifact.answer, sha256: '0123456789abcdef'.repeat(4) } },
    )
    const { url } = await at.start([{ ...at.digits, manifest: { ...at.digits.manifest, artifacts } }])
    const diagnosis = await diagnose(url)
    expect(diagnosis.code).toBe(1)
    expect(failures(diagnosis)).toEqual([
      expect.stringMatching(/^model digits: verge-\w+ answers a fixed input with other bits .*, not 0123456789ab$/),
    ])
    expect(diagnosis.checks.find(({ status }) => status === 'fail')?.fix).toContain('Deploy the Worker again')
  })

  it('no engine of its own, whose answers are then not compared', async () => {
    const { url } = await at.start([at.digits], { ENGINES: 'onnxruntime' })
    const diagnosis = await diagnose(url)
    expect(failures(diagnosis)).toEqual([])
    expect(diagnosis.checks).toContainEqual(
      expect.objectContaining({ area: 'model digits', status: 'skip', finding: expect.stringContaining('bit by bit') }),
    )
  })

  it('a configuration that the Worker refuses', async () => {
    const { url } = await at.start([at.digits], { ADMITTED_REQUESTS: 'many' })
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
    const url = await at.serve((_request, response) => response.end('<h1>Welcome</h1>'))
    const diagnosis = await diagnose(url)
    expect(failures(diagnosis)).toEqual([expect.stringContaining('is not Verge: HTTP 200')])
    expect(diagnosis.checks.find(({ status }) => status === 'fail')?.fix).toContain('Another program')
  })

  it("Cloudflare's page for too much CPU", async () => {
    const url = await at.serve((_request, response) => response.writeHead(503).end('error code: 1102'))
    const [failure] = (await diagnose(url)).checks.filter(({ status }) => status === 'fail')
    expect(failure?.fix).toContain('free plan')
  })

  it('a redirect, to which the key is not taken', async () => {
    const asked: (string | undefined)[] = []
    const url = await at.serve((request, response) => {
      asked.push(request.headers.authorization)
      response.writeHead(301, { location: 'https://elsewhere.example/' }).end()
    })
    const diagnosis = await diagnose(url, { VERGE_API_KEY: KEY })
    expect(failures(diagnosis)).toEqual([expect.stringContaining('redirects to https://elsewhere.example')])
    expect(asked).toEqual([undefined])
  })

  it('something in front that caches, drops headers and swallows preflights', async () => {
    const behind = await at.healthy()
    const url = await at.serve(async (request, response) => {
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
