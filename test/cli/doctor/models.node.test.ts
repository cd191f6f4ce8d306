import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { afterEach, describe, expect, it } from 'vitest'
import { checkModels } from '../../../src/cli/doctor/models.ts'
import { Visitor } from '../../../src/cli/doctor/visitor.ts'

const servers: Server[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve))
})

const METADATA = {
  name: 'lines',
  versions: ['1'],
  inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 1, -1, -1] }],
  outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 4] }],
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part as Buffer)
  return Buffer.concat(parts).toString()
}

/** A Worker whose one model takes pictures of a single height. @returns its address, and the heights it was asked with */
async function start(height: number): Promise<{ url: string; heights: number[] }> {
  const heights: number[] = []
  const server = createServer(async (request, response) => {
    const send = (status: number, body: object): void => {
      response.writeHead(status, { 'content-type': 'application/json', 'verge-placement': 'edge' })
      response.end(JSON.stringify(body))
    }
    if (request.url?.startsWith('/browser/')) return send(404, { error: { code: 'not_found' } })
    if (request.method !== 'POST') return send(200, METADATA)
    const { inputs } = JSON.parse(await bodyOf(request)) as { inputs: { shape: number[] }[] }
    heights.push(inputs[0]?.shape[2] ?? 0)
    if (heights.at(-1) === height) return send(200, { outputs: [] })
    send(400, { error: { code: 'run_rejected', message: 'The model could not run on these inputs.' } })
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, heights }
}

describe('the doctor', () => {
  const options = { requests: 2, modelsFolder: tmpdir() }

  it('asks a model in other sizes until it runs, and times that one', async () => {
    const { url, heights } = await start(32)
    const checks = await checkModels(new Visitor(url, undefined), ['lines'], options)
    expect(checks.map(({ status }) => status)).toEqual(['ok', 'ok', 'skip', 'ok'])
    expect(heights).toEqual([64, 32, 32, 32])
  })

  it('does not call a model broken because nothing that was made up fits', async () => {
    const { url, heights } = await start(33)
    const checks = await checkModels(new Visitor(url, undefined), ['lines'], options)
    expect(checks).toMatchObject([{ status: 'skip', finding: expect.stringMatching(/none of 8 generated inputs/) }])
    expect(heights).toHaveLength(8)
  })
})
