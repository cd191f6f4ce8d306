/** Requests that no client would write, byte by byte to a Worker in workerd: nothing of them becomes a header of the answer. */
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MATMUL_INNER, matmulModel } from '../../synthetic/onnx-models.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { publishModel, writerFor } from '../fixtures/node/publish.ts'

const KEY = 'a-key-of-the-operator-0123456789'
const SIGNATURE = {
  inputs: [{ name: 'x', datatype: 'FP32', shape: ['n', MATMUL_INNER] }],
  outputs: [{ name: 'mean', datatype: 'FP32', shape: ['n', 1] }],
} as const

let worker: LiveWorker

beforeAll(async () => {
  worker = await startLiveWorker({ VERGE_API_KEY: KEY, CORS_ALLOW: 'https://app.example.com' })
  await publishModel(await writerFor(worker), 'secret', matmulModel(4_096), SIGNATURE, { visibility: 'private' })
})
afterAll(() => worker?.dispose())

/** What comes back for bytes, up to the end of the connection; empty where it is closed without an answer. */
function send(lines: readonly string[]): Promise<string> {
  const { hostname, port } = new URL(worker.url)
  return new Promise((resolve) => {
    let received = ''
    const socket = connect(Number(port), hostname, () => socket.write(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'))
    socket.setEncoding('latin1')
    socket.on('data', (text: string) => {
      received += text
    })
    socket.on('error', () => resolve(received))
    socket.on('close', () => resolve(received))
  })
}

const get = (path: string, ...headers: string[]) =>
  send([`GET ${path} HTTP/1.1`, 'host: 127.0.0.1', 'connection: close', ...headers])

const statusOf = (answer: string) => Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0)

/** Lines of an answer's head. */
const headOf = (answer: string) => (answer.split('\r\n\r\n', 1)[0] ?? '').split('\r\n')

describe('odd headers', () => {
  it('of requests never become headers of answers', async () => {
    for (const headers of [
      ['x-request-id: a\r\n set-cookie: stolen=1'],
      ['x-request-id: a\nset-cookie: stolen=1'],
      ['x-request-id: a\rset-cookie: stolen=1'],
      ['x-request-id: a\u0000b'],
      ['x-request-id: one', 'x-request-id: two'],
      ['x-request-id: %0d%0aset-cookie:%20stolen=1'],
      ['origin: https://app.example.com\u0000.attacker.example'],
      ['origin: https://app.example.com, https://attacker.example'],
      ['verge-place: edge\u000bset-cookie: stolen=1'],
    ]) {
      const answer = await get('/v1/models', ...headers)
      // Refused by the server, or answered: never with a header that the request wrote.
      expect([0, 200, 400], JSON.stringify(headers)).toContain(statusOf(answer))
      const head = headOf(answer)
      expect(head.filter((line) => /^(set-cookie|access-control-allow-origin)/i.test(line))).toEqual([])
      const ids = head.filter((line) => /^x-request-id:/i.test(line))
      if (statusOf(answer) === 200) expect(ids).toEqual([expect.stringMatching(/^x-request-id: [\w.-]+$/i)])
    }
  })

  it('of paths neither', async () => {
    for (const path of [
      '/run/m%0d%0aset-cookie:%20stolen=1',
      '/v2/models/%0d%0a%0d%0a%3Cscript%3E',
      '/v1/models?x=%0d%0aset-cookie:%20stolen=1',
      '//attacker.example/%2f..',
      '/v1/models/../../%2e%2e/etc/passwd',
    ]) {
      const answer = await get(path)
      expect([200, 404, 405], path).toContain(statusOf(answer))
      expect(headOf(answer).filter((line) => /^(set-cookie|location)/i.test(line))).toEqual([])
      expect(answer).toMatch(/content-type: application\/json/i)
    }
  })

  it('that name several credentials give none of them', async () => {
    const right = `authorization: Bearer ${KEY}`
    expect(statusOf(await get('/v2/models/secret', right))).toBe(200)
    for (const headers of [
      [right, 'authorization: Bearer another-key-0123456789'],
      ['authorization: Bearer another-key-0123456789', right],
      [`${right}, Bearer another-key-0123456789`],
      [`${right} ${KEY}`],
      [`authorization: Basic ${KEY}`],
      [`authorization: Bearer\u00a0${KEY}`],
    ]) {
      expect([400, 401, 404], JSON.stringify(headers)).toContain(statusOf(await get('/v2/models/secret', ...headers)))
    }
  })

  it('of any length are refused, and the Worker goes on', async () => {
    for (const length of [9_000, 60_000, 200_000, 2_000_000]) {
      for (const name of [
        'authorization: Bearer ',
        'x-request-id: ',
        'cf-access-jwt-assertion: ',
        'signature-input: ',
      ]) {
        const answer = await get('/v2/models/secret', `${name}${'a'.repeat(length)}`)
        expect([0, 400, 401, 404, 413, 431], `${name}${length}`).toContain(statusOf(answer))
        expect(answer.length).toBeLessThan(5_000)
      }
    }
    expect(statusOf(await get('/v2/models/secret', `authorization: Bearer ${KEY}`))).toBe(200)
  })
})
