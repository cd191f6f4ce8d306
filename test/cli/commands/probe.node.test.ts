import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { probeCommand } from '../../../src/cli/commands/probe.ts'

const KEY = 'an-operator-key-of-forty-letters-and-more'

let server: Server
let url: string
/** What the Worker was asked, and what it says. */
let asked: { path: string; body: string }[]
let verdicts: string[]
let canary: object | null

/** Stands in for a Worker that has a canary on trial. */
beforeEach(async () => {
  asked = []
  verdicts = []
  canary = { version: '2', against: '1', guarded: true }
  vi.stubEnv('VERGE_API_KEY', KEY)
  server = createServer((request, response) => {
    const { url: path = '' } = request
    let body = ''
    request.on('data', (piece) => {
      body += String(piece)
    })
    request.on('end', () => {
      asked.push({ path, body })
      const isOperator = request.headers.authorization === `Bearer ${KEY}`
      const answer = isOperator ? answerTo(path) : undefined
      response.writeHead(isOperator ? (answer === undefined ? 500 : 200) : 401, { 'content-type': 'application/json' })
      response.end(JSON.stringify(answer ?? { error: { code: 'engine_aborted', message: 'It broke.' } }))
    })
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

afterEach(async () => {
  process.exitCode = undefined
  vi.unstubAllEnvs()
  await new Promise((closed) => server.close(closed))
})

function answerTo(path: string): unknown {
  if (path === '/v1/releases/m') {
    const none = { stopped: null, watch: null, unreachable: false }
    return { model: 'm', generation: 7, live: [{ version: '1', weight: 1 }], canary, ...none }
  }
  if (path === '/v1/releases/m/probes') {
    const verdict = verdicts.shift() ?? 'continue'
    return verdict === 'broken' ? undefined : { verdict }
  }
  if (path === '/v2/models/m') return { inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2] }] }
  return path.endsWith('/infer') ? {} : undefined
}

const run = (...args: string[]) => probeCommand.run(['m', '--url', url, '--every', '0', ...args])
const paths = (): string[] => asked.map(({ path }) => path)

it('measures both versions by their names, and tells the Worker', async () => {
  expect(await run('--pairs', '3')).toMatch(
    /^ *version +pairs +p50 +p95 +failures\n *1 \(stable\) +3 .*\n *2 \(canary\) +3 /,
  )
  for (const version of ['1', '2']) {
    expect(paths().filter((path) => path === `/v2/models/m/versions/${version}/infer`)).toHaveLength(4)
  }
  const told = asked.filter(({ path }) => path === '/v1/releases/m/probes').map(({ body }) => JSON.parse(body))
  expect(told).toMatchObject([{ generation: 7, seq: 1, pairs: [{}, {}, {}] }])
  expect(told[0].pairs[0].canaryMs).toBeGreaterThan(0)
})

it('ends when the canary is taken out, with a failure for scripts', async () => {
  verdicts = ['stopped']
  expect(JSON.parse((await run('--pairs', '50', '--json')) ?? '')).toMatchObject({
    canary: '2',
    stable: '1',
    verdict: 'stopped',
    canaryTimes: { requests: 20, failures: 0 },
  })
  expect(process.exitCode).toBe(1)
})

it('tells nobody where it is asked not to, and says what failed', async () => {
  expect(await run('--pairs', '1', '--no-report')).not.toContain('failed')
  expect(paths()).not.toContain('/v1/releases/m/probes')
  const file = import.meta.filename
  expect(await run('--pairs', '1', '--data', file)).toMatch(/ 0 .* 2\n.*\nfailed: HTTP 500: It broke\./)
  expect(paths()).toContain('/run/m?version=2')
})

it('sends a report again that did not arrive, and says what the Worker was not told of', async () => {
  verdicts = ['broken', 'continue']
  expect(await run('--pairs', '30')).not.toContain('was not told')
  const told = () => asked.filter(({ path }) => path === '/v1/releases/m/probes').map(({ body }) => JSON.parse(body))
  expect(told().map(({ pairs, seq }) => [seq, pairs.length])).toEqual([
    [1, 20],
    [1, 20],
    [2, 10],
  ])
  expect(told()[1]).toEqual(told()[0])
  verdicts = ['broken']
  expect(await run('--pairs', '2')).toContain('The Worker was not told of 2 pairs: HTTP 500: It broke.')
})

it('needs a file that is there, and an address', async () => {
  await expect(run('--data', 'no-such-file')).rejects.toThrow('--data no-such-file cannot be read (ENOENT).')
  await expect(probeCommand.run(['m', '--url', 'nowhere'])).rejects.toThrow('"nowhere" is not an address')
  await expect(probeCommand.run(['m', '--url', 'http://127.0.0.1:9'])).rejects.toThrow('No Worker answers at')
})

it('needs a trial, the key, and one model', async () => {
  canary = null
  await expect(run()).rejects.toThrow('No version of model "m" is on trial. Put one on trial')
  vi.stubEnv('VERGE_API_KEY', '')
  await expect(run()).rejects.toThrow("Set VERGE_API_KEY to the operator's key.")
  await expect(probeCommand.run([])).rejects.toThrow('Specify one model')
})
