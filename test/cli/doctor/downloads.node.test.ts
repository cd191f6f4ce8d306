import { createHash } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { downloadChecks } from '../../../src/cli/doctor/downloads.ts'
import { Visitor } from '../../../src/cli/doctor/visitor.ts'
import { LIMITS } from '../../../src/core/limits.ts'

const servers: Server[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve))
})

// more than other answers may have
const BYTES = Buffer.alloc(5 * 1024 * 1024, 'weights')
const SHA256 = createHash('sha256').update(BYTES).digest('hex')
const blob = { sha256: SHA256, bytes: BYTES.length, chunks: [{ sha256: SHA256, bytes: BYTES.length }] }
const plan = {
  model: 'm',
  version: '3',
  digest: SHA256,
  manifest: { schema: 1, model: 'm', version: '3', inputs: [], outputs: [] },
  artifacts: [{ ...blob, id: 'verge-q8', format: 'verge', dtype: 'q8', places: ['browser'] }],
  files: {},
}
const immutable = { etag: `"${SHA256}"`, 'cache-control': 'public, max-age=31536000, immutable' }

interface Answers {
  readonly plan?: readonly [number, object]
  readonly weights?: Buffer
  readonly headers?: Readonly<Record<string, string>>
  readonly ranges?: boolean
}

async function checked(answers: Answers): Promise<{ status: string; text: string }[]> {
  const { headers = immutable, ranges = true, weights = BYTES } = answers
  const [status, body] = answers.plan ?? [200, plan]
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    if (request.url === '/browser/m') return response.writeHead(status).end(JSON.stringify(body))
    const part = ranges && request.headers.range === 'bytes=0-0'
    response.writeHead(part ? 206 : 200, headers).end(part ? weights.subarray(0, 1) : weights)
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const checks = await downloadChecks('model m', new Visitor(`http://127.0.0.1:${port}`, undefined), 'm')
  const chunkPaths = asked.filter((path) => path !== '/browser/m')
  expect(new Set(chunkPaths).size).toBe(chunkPaths.length === 0 ? 0 : 1)
  for (const path of chunkPaths) expect(path).toBe(`/weights/m/${SHA256}?version=3`)
  return checks.map(({ status, finding, fix }) => ({ status, text: `${finding} ${fix ?? ''}` }))
}

describe('the doctor, of a model that browsers may download', () => {
  it('is content with a plan and a chunk that are right', async () => {
    expect(await checked({})).toEqual([
      { status: 'ok', text: expect.stringMatching(/1 chunk \(5\.00 MiB\); the first has its digest/) },
    ])
  })

  it('says nothing of models that are not downloadable, and of servers without such routes', async () => {
    for (const code of ['not_downloadable', 'not_found']) {
      expect(await checked({ plan: [code === 'not_found' ? 404 : 403, { error: { code } }] })).toEqual([])
    }
  })

  it('finds bytes with another digest', async () => {
    const damaged = Buffer.from(BYTES)
    damaged.writeUInt8(damaged.readUInt8(7) ^ 1, 7)
    expect(await checked({ weights: damaged })).toEqual([
      { status: 'fail', text: expect.stringContaining('wrong digest') },
    ])
  })

  it.each([
    ['etag', { headers: { 'cache-control': 'immutable' } }],
    ['cache-control', { headers: { ...immutable, 'cache-control': 'no-store' } }],
    ['ranges', { ranges: false }],
    ['etag, cache-control, ranges', { headers: {}, ranges: false }],
  ])('warns of a download without %s', async (missing, answers) => {
    expect(await checked(answers)).toEqual([{ status: 'warn', text: expect.stringContaining(`without ${missing}:`) }])
  })

  it('fails where the plan fails, is none, or has nothing that it could ask for', async () => {
    const failing = { error: { code: 'manifest_invalid', message: 'The manifest is missing.' } }
    const huge = { ...blob.chunks[0], bytes: LIMITS.chunkBytes + 1 }
    for (const [answer, text] of [
      [[500, failing], 'The manifest is missing.'],
      [[200, { model: 'm' }], 'cannot be read'],
      [[200, { ...plan, artifacts: [] }], 'without weights'],
      [[200, { ...plan, artifacts: [{ ...plan.artifacts[0], chunks: [huge] }] }], 'without weights'],
    ] as const) {
      expect(await checked({ plan: answer })).toEqual([{ status: 'fail', text: expect.stringContaining(text) }])
    }
  })
})
