import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type AskOptions, askLive } from '../../../src/cli/push/live.ts'
import { silentProgress } from '../../../src/cli/terminal/progress.ts'
import { type Tensors, tensor } from '../../../src/core/tensors.ts'
import { JSON_LENGTH_HEADER } from '../../../src/protocols/oip/headers.ts'
import { packedOf } from '../../fixtures/node/packed.ts'

const KEY = 'a-key-of-the-operator-0123456789'

interface Seen {
  readonly line: string
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

let folder: string
let server: Server
let url: string
let seen: Seen[]

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "verge line's-"))
  seen = []
  server = createServer(async (request, response) => {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    seen.push({ line: `${request.method} ${request.url}`, headers: request.headers, body: Buffer.concat(parts) })
    const outputs = [{ name: 'y', datatype: 'FP32', shape: [1], parameters: { binary_data_size: 4 } }]
    const header = JSON.stringify({ model_name: 'm', outputs })
    response.setHeader(JSON_LENGTH_HEADER, String(header.length))
    response.end(Buffer.concat([Buffer.from(header), Buffer.alloc(4)]))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterEach(async () => {
  server.closeAllConnections()
  server.close()
  await rm(folder, { recursive: true, force: true })
})

const inputsOf = (count: number, datatype: 'FP32' | 'FP16' = 'FP32'): Tensors =>
  new Map([
    [
      'x',
      datatype === 'FP32'
        ? tensor('FP32', [1, count], new Float32Array(count).fill(0.5))
        : tensor('FP16', [1, count], new Uint16Array(count).fill(0x3800)),
    ],
  ])

async function lineFor(options: Partial<AskOptions>, inputs = inputsOf(4), task?: string): Promise<string> {
  const packed = packedOf('m', new Uint8Array(10), { version: '2' })
  const manifest = { ...packed.manifest, ...(task !== undefined && { task, labels: ['a'] }) }
  const built = { packed: { ...packed, manifest }, folder, reports: folder, sample: { inputs } }
  const answer = await askLive(url, built, {
    visibility: 'public',
    live: [{ version: '2', weight: 1 }],
    key: undefined,
    signal: new AbortController().signal,
    progress: silentProgress,
    ...options,
  })
  return answer.curl
}

/** Runs a line as a person pastes it, and gives what the Worker got. */
async function pasted(line: string): Promise<Seen> {
  const before = seen.length
  const env = { ...process.env, VERGE_API_KEY: KEY }
  await promisify(execFile)(
    'sh',
    ['-c', `cd '${folder.replaceAll("'", "'\\''")}'; (cd ${process.cwd()}; ${line} -sS --fail)`],
    { env },
  )
  expect(seen.length).toBe(before + 1)
  return seen.at(-1) as Seen
}

describe('the line that push prints runs what was pushed', () => {
  it('a live version by its name alone', async () => {
    const { line, headers, body } = await pasted(await lineFor({}))
    expect(line).toBe('POST /v2/models/m/infer')
    expect(headers.authorization).toBeUndefined()
    expect(JSON.parse(body.toString())).toMatchObject({ inputs: [{ name: 'x', data: [0.5, 0.5, 0.5, 0.5] }] })
  })

  const others = [{ version: '1', weight: 1 }]
  it.each<[string, Partial<AskOptions>, string, boolean]>([
    ['a version that is not live', { live: others, key: KEY }, '/versions/2', true],
    ['one that is not live, without a key here', { live: others }, '/versions/2', true],
    ['a part of a canary', { live: [...others, { version: '2', weight: 9 }] }, '/versions/2', false],
    ['a private one', { visibility: 'private', key: KEY }, '', true],
  ])('%s', async (_what, options, path, closed) => {
    const { line, headers } = await pasted(await lineFor(options))
    expect(line).toBe(`POST /v2/models/m${path}/infer`)
    expect(headers.authorization).toBe(closed ? `Bearer ${KEY}` : undefined)
  })

  it('by its task', async () => {
    const task = 'text-classification'
    expect((await pasted(await lineFor({}, undefined, task))).line).toBe('POST /run/m')
    expect(await pasted(await lineFor({ live: others, key: KEY }, undefined, task))).toMatchObject({
      line: 'POST /run/m?version=2',
      headers: { authorization: `Bearer ${KEY}` },
    })
  })

  it('inputs that no line holds, out of a file', async () => {
    const { body, headers } = await pasted(await lineFor({}, inputsOf(5_000)))
    expect(JSON.parse(body.toString()).inputs[0].data).toHaveLength(5_000)
    expect(headers['content-type']).not.toContain('octet-stream')
    expect(await readFile(join(folder, 'request.json'), 'utf8')).toBe(body.toString())
  })

  it('inputs that JSON does not hold, as binary tensors', async () => {
    for (const inputs of [inputsOf(300_000), inputsOf(4, 'FP16')]) {
      const line = await lineFor({}, inputs)
      const { body, headers } = await pasted(line)
      const header = Number(headers[JSON_LENGTH_HEADER])
      const [input] = JSON.parse(body.subarray(0, header).toString()).inputs
      expect(body.length - header).toBe(input.parameters.binary_data_size)
    }
    expect(existsSync('answer.bin')).toBe(true)
    await rm('answer.bin')
  })
})
