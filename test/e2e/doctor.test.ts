import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { DoctorSubjects, diagnose, failures, KEY } from '../fixtures/node/doctor.ts'

let at: DoctorSubjects

beforeAll(async () => {
  at = await DoctorSubjects.open()
})
afterEach(() => at.afterTest())
afterAll(() => at?.close())

describe('verge doctor against a Worker that is well', () => {
  it('passes, checks both models with their right answers, and everything in front of them', async () => {
    const { url } = await at.healthy()
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
    const { url } = await at.healthy()
    const outcomes: (string | null)[] = []
    const front = await at.serve(async (request, response) => {
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
    const { url } = await at.healthy()
    const diagnosis = await diagnose(url, { VERGE_API_KEY: 'schlüssel-des-betreibers' })
    expect(failures(diagnosis)).toEqual(['key: VERGE_API_KEY contains a character that is not allowed in a header'])
  })

  it('sees with the key that private models are hidden', async () => {
    const { url } = await at.healthy(KEY)
    const diagnosis = await diagnose(url, { VERGE_API_KEY: KEY })
    expect(failures(diagnosis)).toEqual([])
    const found = diagnosis.checks.map(({ area, status, finding }) => `${status} ${area}: ${finding}`)
    expect(found).toContain('ok models: digits, reviews; 1 of them private')
    expect(found).toContain('ok privacy: without a key /v2/models/reviews does not exist')
    expect(found).toContainEqual(expect.stringMatching(/^ok model reviews: answers "positive"/))
  })
})
