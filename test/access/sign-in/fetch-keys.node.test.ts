import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { fetchKeySet } from '../../../src/access/sign-in/fetch-keys.ts'
import { systemClock } from '../../../src/core/runtime.ts'

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close().closeAllConnections()
})

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  servers.push(server)
  await new Promise<void>((done) => void server.listen(0, '127.0.0.1', done))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`
}

const fetchFrom = (url: string, limits = { signInFetchMs: 5_000, signInKeySetBytes: 1_000 }) =>
  fetchKeySet(url, { fetch: (request) => fetch(request), clock: systemClock, limits })

describe('fetchKeySet', () => {
  it('gives the text of an answer', async () => {
    const url = await serve((request, answer) => void answer.end(`{"accept":"${request.headers.accept}","é":1}`))
    expect(await fetchFrom(url)).toBe('{"accept":"application/json","é":1}')
  })

  it('follows no redirection', async () => {
    let reached = 0
    const elsewhere = await serve((_, answer) => {
      reached++
      answer.end('{}')
    })
    for (const status of [301, 302, 303, 307, 308]) {
      const url = await serve((_, answer) => void answer.writeHead(status, { location: elsewhere }).end())
      await expect(fetchFrom(url)).rejects.toThrow()
    }
    expect(reached).toBe(0)
  })

  it('refuses another status', async () => {
    for (const status of [204, 206, 400, 404, 500, 503]) {
      const url = await serve((_, answer) => void answer.writeHead(status).end(status === 204 ? undefined : '{}'))
      await expect(fetchFrom(url)).rejects.toThrow()
    }
  })

  it('reads no more than it may, with or without a declared length', async () => {
    const declared = await serve((_, answer) => void answer.end('x'.repeat(1_001)))
    await expect(fetchFrom(declared)).rejects.toThrow(/more than 1000 bytes/)
    const endless = await serve((_, answer) => {
      const more = () => answer.destroyed || answer.write('x'.repeat(400), () => setImmediate(more))
      more()
    })
    await expect(fetchFrom(endless)).rejects.toThrow(/more than 1000 bytes/)
    const fits = await serve((_, answer) => void answer.end('x'.repeat(1_000)))
    expect(await fetchFrom(fits)).toHaveLength(1_000)
  })

  it('gives up in time: no answer, and an answer that does not end', async () => {
    const limits = { signInFetchMs: 100, signInKeySetBytes: 1_000 }
    await expect(fetchFrom(await serve(() => {}), limits)).rejects.toThrow(/within 100 ms/)
    const drips = await serve((_, answer) => void answer.write('{'))
    await expect(fetchFrom(drips, limits)).rejects.toThrow(/within 100 ms/)
  })

  it('refuses text that is not UTF-8, and a server that is not there', async () => {
    const url = await serve((_, answer) => void answer.end(Buffer.of(0x7b, 0xff, 0x7d)))
    await expect(fetchFrom(url)).rejects.toThrow()
    const [server] = servers
    await new Promise((closed) => void server?.close(closed))
    await expect(fetchFrom(url)).rejects.toThrow()
  })
})
