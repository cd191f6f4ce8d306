import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { audit } from '../../../scripts/audit/audit.ts'

const TODAY = '2026-11-30'
const ADVISORY = {
  id: 1094087,
  url: 'https://advisories.example/GHSA-aaaa-bbbb-cccc',
  title: 'Reads past the end',
  severity: 'high',
  vulnerable_versions: '<1.0.1',
  cwe: ['CWE-125'],
  cvss: { score: 7.5, vectorString: null },
}
const PACKUMENT = {
  name: 'weak',
  'dist-tags': { latest: '1.0.1' },
  versions: { '1.0.0': { name: 'weak', version: '1.0.0' }, '1.0.1': { name: 'weak', version: '1.0.1' } },
}
const DIGEST = `sha512-${'A'.repeat(86)}==`

const servers: Server[] = []
const folders: string[] = []
afterEach(async () => {
  vi.unstubAllEnvs()
  for (const server of servers.splice(0)) server.close().closeAllConnections()
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true })
})

/** A registry on this machine, to which npm is sent. @returns the paths that it is asked for */
async function registry(listener: RequestListener): Promise<string[]> {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    listener(request, response)
  })
  servers.push(server)
  await new Promise<void>((done) => void server.listen(0, '127.0.0.1', done))
  const port = (server.address() as AddressInfo).port
  await useRegistry(`http://127.0.0.1:${port}/`)
  return asked
}

async function useRegistry(url: string): Promise<void> {
  const cache = await mkdtemp(join(tmpdir(), 'verge-audit-cache-'))
  folders.push(cache)
  vi.stubEnv('npm_config_registry', url)
  vi.stubEnv('npm_config_cache', cache)
  vi.stubEnv('npm_config_fetch_retries', '0')
}

/** What the registry's audit says; everything else is a package. */
const answering =
  (advisories: unknown): RequestListener =>
  (request, response) => {
    const value = request.url?.startsWith('/-/npm/v1/security/') ? advisories : PACKUMENT
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value))
  }

interface Project {
  readonly accepted?: readonly unknown[]
}

async function auditOf({ accepted = [] }: Project) {
  const folder = await mkdtemp(join(tmpdir(), 'verge-audit-'))
  folders.push(folder)
  const dependencies = { weak: '1.0.0' }
  const project = { name: 'project', version: '1.0.0', dependencies }
  const lock = {
    ...project,
    lockfileVersion: 3,
    requires: true,
    packages: { '': project, 'node_modules/weak': { version: '1.0.0', license: 'MIT', integrity: DIGEST } },
  }
  await writeFile(join(folder, 'package.json'), JSON.stringify(project))
  await writeFile(join(folder, 'package-lock.json'), JSON.stringify(lock))
  const file = join(folder, 'accepted.json')
  await writeFile(file, JSON.stringify(accepted))
  const { ok, lines } = await audit(folder, file, TODAY)
  return { ok, text: lines.join('\n') }
}

const decision = {
  package: 'weak',
  what: 'GHSA-aaaa-bbbb-cccc',
  reason: 'That function is never called here.',
  by: 'A. Maintainer',
  on: '2026-11-01',
  until: '2026-12-31',
}

describe('known vulnerabilities', () => {
  it('are those that the registry knows, and fail', async () => {
    const asked = await registry(answering({ weak: [ADVISORY] }))
    const { ok, text } = await auditOf({})
    expect(text).toContain(
      'OPEN:     weak <1.0.1: Reads past the end (high, https://advisories.example/GHSA-aaaa-bbbb-cccc).',
    )
    expect(ok).toBe(false)
    expect(asked).toContain('POST /-/npm/v1/security/advisories/bulk')
  })

  it('can be accepted by name, date and reason, until a day', async () => {
    await registry(answering({ weak: [ADVISORY] }))
    const accepted = await auditOf({ accepted: [decision] })
    expect(accepted.ok).toBe(true)
    expect(accepted.text).toContain('Accepted by A. Maintainer on 2026-11-01, until 2026-12-31: That function')
  })

  it('that are no longer found are named, so that nothing stays accepted by mistake', async () => {
    await registry(answering({}))
    const { ok, text } = await auditOf({ accepted: [decision] })
    expect(ok).toBe(true)
    expect(text).toContain('Known vulnerabilities: 0.')
    expect(text).toContain('unused:   weak, GHSA-aaaa-bbbb-cccc: accepted on 2026-11-01')
  })

  it('are not looked up where the registry offers no audit, which does not fail', async () => {
    await registry((_, response) => void response.writeHead(405).end())
    const { ok, text } = await auditOf({ accepted: [decision] })
    expect(text).toContain('Known vulnerabilities were not looked up: the registry offers no audit (HTTP 405).')
    expect(text).not.toContain('unused')
    expect(ok).toBe(true)
  })

  it('that cannot be looked up for another reason fail', async () => {
    await registry((_, response) => void response.writeHead(500).end())
    const { ok, text } = await auditOf({})
    expect(text).toContain('The registry answered HTTP 500.')
    expect(ok).toBe(false)
    // Nobody listens here any more.
    for (const server of servers.splice(0)) await new Promise((closed) => server.close(closed))
    expect((await auditOf({})).ok).toBe(false)
  })
})
