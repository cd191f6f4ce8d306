import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { topCommand } from '../../../src/cli/commands/top.ts'
import { ROOT } from '../../../src/cli/files/project.ts'
import { workerAddress } from '../../../src/cli/target/worker-address.ts'
import { freePort } from '../../../src/cli/terminal/port.ts'
import { type StandIn, startStandIn } from '../../fixtures/node/cloudflare-stand-in.ts'
import { OPERATIONS } from '../../fixtures/operations.ts'

const KEY = 'a-key-of-the-operator-0123456789'

let server: Server
let url: string
let answer: { status: number; body: unknown }

beforeEach(async () => {
  answer = { status: 200, body: OPERATIONS }
  server = createServer((request, response) => {
    const known = request.headers.authorization === `Bearer ${KEY}`
    const refused = { status: 401, body: { error: { code: 'unauthorized', message: 'Send a key.' } } }
    const { body, status } = request.url !== '/v1/operations' ? { status: 404, body: {} } : known ? answer : refused
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  vi.stubEnv('VERGE_API_KEY', KEY)
})
afterEach(() => {
  process.exitCode = undefined
  vi.unstubAllEnvs()
  server.close()
})

const top = (...args: string[]) => topCommand.run(['--url', url, ...args])

describe('verge top', () => {
  it('prints one look where the output is not a terminal, and ends with 1 if it is critical', async () => {
    const text = await top('--sort', 'cost')
    expect(text).toContain(`CRITICAL  verge 1.2.3 at ${url}`)
    expect(text).toContain('Models by cost')
    expect(text).not.toContain('\u001b')
    expect(text).not.toContain('q quit')
    expect(process.exitCode).toBe(1)
  })

  it('prints the answer for programs', async () => {
    answer.body = { ...OPERATIONS, health: 'warning' }
    expect(JSON.parse((await top('--json')) ?? '')).toEqual(answer.body)
    expect(process.exitCode).toBeUndefined()
  })

  it.each([
    [{ status: 401, body: {} }, 'does not know the key in VERGE_API_KEY'],
    [{ status: 403, body: {} }, 'one with "metrics" for all models'],
    [
      { status: 501, body: { error: { code: 'not_implemented', message: '' } } },
      'it is an origin, or an older version',
    ],
    [{ status: 503, body: { error: { code: 'store_unavailable', message: 'R2 is away.' } } }, 'HTTP 503: R2 is away.'],
    [{ status: 200, body: { health: 'ok' } }, 'has another form than this version of Verge knows'],
  ])('says what to do after %j', async (refusal, text) => {
    answer = refusal
    await expect(top()).rejects.toThrow(text)
  })

  it('says what to do without a key, a Worker or a usable option', async () => {
    vi.stubEnv('VERGE_API_KEY', '')
    await expect(top()).rejects.toThrow("Set VERGE_API_KEY to the operator's key.")
    await expect(topCommand.run(['--url', `http://127.0.0.1:${await freePort()}`])).rejects.toThrow('No Worker answers')
    await expect(top('--sort', 'size')).rejects.toThrow('--sort takes requests, errors')
    await expect(top('--every', '0')).rejects.toThrow('--every must be a number from 1')
    await expect(top('--env', 'production')).rejects.toThrow('Use one of --url, --env and --persist-to.')
  })
})

describe('the address of a Worker', () => {
  let cloud: StandIn
  let folder: string

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'verge-address-'))
    cloud = await startStandIn()
    for (const [name, value] of Object.entries(cloud.env)) vi.stubEnv(name, value)
  })
  afterEach(async () => {
    await cloud.close()
    await rm(folder, { recursive: true, force: true })
  })

  it("is its custom domain, or the account's at workers.dev", async () => {
    const toml = await readFile(join(ROOT, 'wrangler.toml'), 'utf8')
    const config = join(folder, 'wrangler.toml')
    await writeFile(config, toml)
    expect(await workerAddress({ env: 'staging', config })).toBe('https://verge-staging.stand-in.workers.dev')
    const routes = `routes = ["*.example.com/*", { pattern = "verge.example.com", custom_domain = true }]`
    await writeFile(config, toml.replace('[env.staging]\n', `[env.staging]\n${routes}\n`))
    expect(await workerAddress({ env: 'staging', config })).toBe('https://verge.example.com')
  })
})
