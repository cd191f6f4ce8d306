/** An origin with VERGE_RELEASE_KEYS, as a process: it checks again what a Worker gives it, whatever that Worker checks. */
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Alias } from '../../src/catalog/alias.ts'
import { canonicalBytes } from '../../src/catalog/canonical-json.ts'
import { ROOT } from '../../src/cli/files/project.ts'
import { openTarget } from '../../src/cli/target/open.ts'
import { freePort } from '../../src/cli/terminal/port.ts'
import { localOriginKey } from '../../src/origin/command/key.ts'
import { FolderStore } from '../../src/origin/folder-store.ts'
import { readValue } from '../contract/store.ts'
import { PICTURE } from '../fixtures/node/origin-models.ts'
import { type OriginProcess, signedFetch, startOriginProcess } from '../fixtures/node/origin-process.ts'
import { type StartProcess, startProcess } from '../fixtures/node/start-process.ts'
import { verge } from '../fixtures/node/verge.ts'

const ALIAS = 'alias/digits'
const WAITING = { timeout: 60_000 }

let scratch: string
let state: string
let port: number
let worker: StartProcess
let origin: OriginProcess
let publicKey: string
let secret: string

/** The same folder and port as before. */
async function startOrigin(cache = 'cache'): Promise<OriginProcess> {
  const args = ['--port', String(port)]
  const env = { VERGE_RELEASE_KEYS: publicKey }
  const started = await startOriginProcess({ from: worker.url, cache: join(scratch, cache), keys: [], args, env })
  await started.logged('origin_ready')
  return started
}

async function command(...args: string[]): Promise<void> {
  const ran = await verge([...args, '--signing-key', join(scratch, 'release.pem'), '--persist-to', state], {
    cwd: ROOT,
  })
  expect(ran.code, ran.stderr).toBe(0)
}

async function stored(): Promise<Uint8Array> {
  const target = await openTarget({ local: state })
  try {
    return (await readValue(target.truth, ALIAS)) ?? new Uint8Array()
  } finally {
    await target.dispose()
  }
}

/** What an attacker does who may write the bucket and KV. */
async function put(bytes: Uint8Array): Promise<void> {
  const target = await openTarget({ local: state })
  try {
    for (const each of [target.truth, ...target.copies]) await each.put(ALIAS, bytes)
  } finally {
    await target.dispose()
  }
}

/** What the origin itself answers. */
async function asked(): Promise<string> {
  const answer = await signedFetch(origin.url, secret, '/v2/models/digits/infer', { body: PICTURE })
  const text = await answer.text()
  return answer.ok ? 'answered' : `${answer.status} ${/"code":"(\w+)"/.exec(text)?.[1] ?? text}`
}

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'verge-origin-signed-'))
  state = join(scratch, 'state')
  port = await freePort()
  const models = join(scratch, 'models')
  await cp(join(ROOT, 'models/digits'), join(models, 'digits'), { recursive: true })
  // without RELEASE_KEYS: this Worker gives out whatever is in its stores
  worker = await startProcess({ models, persistTo: state, origin: `http://127.0.0.1:${port}` })
  const created = await verge(['keys', 'sign', '--create', join(scratch, 'release.pem')], { cwd: ROOT })
  publicKey = /RELEASE_KEYS = "([\w-]{43})"/.exec(created.stdout)?.[1] ?? ''
  secret = await localOriginKey()
  await command('keys', 'sign', 'digits', '--adopt')
  origin = await startOrigin()
}, 300_000)
afterAll(async () => {
  await origin?.stop()
  await worker?.stop()
  await rm(scratch, { recursive: true, force: true })
})

describe('an origin with VERGE_RELEASE_KEYS', () => {
  it('runs what is signed', async () => {
    await expect.poll(asked, WAITING).toBe('answered')
  })

  it('does not run what was changed, also where its Worker would, and runs what is signed again', async () => {
    const signed = await stored()
    const alias = JSON.parse(new TextDecoder().decode(signed)) as Alias
    await put(canonicalBytes({ ...alias, visibility: 'private' }))
    await expect.poll(asked, WAITING).toBe('500 signature_invalid')
    const { signature: _, ...unsigned } = alias
    await put(canonicalBytes(unsigned))
    await expect.poll(asked, WAITING).toBe('500 signature_invalid')
    await put(signed)
    await expect.poll(asked, WAITING).toBe('answered')
  })

  it('does not go back to an older release, also after a restart, and does once its folder is lost', async () => {
    const old = await stored()
    await command('release', 'digits', '--public')
    await command('keys', 'sign', 'digits')
    const newest = generationOf(await stored())
    expect(newest).toBeGreaterThan(generationOf(old))
    const readAgain = async (): Promise<number> => {
      expect(await asked()).toBe('answered')
      return seen()
    }
    await expect.poll(readAgain, WAITING).toBe(newest)
    await put(old)
    await expect.poll(asked, WAITING).toBe('500 release_outdated')
    await origin.stop()
    origin = await startOrigin()
    expect(await asked()).toBe('500 release_outdated')
    await origin.stop()
    origin = await startOrigin('another')
    await expect.poll(asked, WAITING).toBe('answered')
  })
})

function generationOf(bytes: Uint8Array): number {
  return (JSON.parse(new TextDecoder().decode(bytes)) as Alias).generation
}

/** The generation that the origin has written down. */
async function seen(): Promise<number> {
  const bytes = await readValue(new FolderStore(join(scratch, 'cache/releases')), 'generation/digits')
  return (JSON.parse(new TextDecoder().decode(bytes ?? undefined)) as { generation: number }[])[0]?.generation ?? 0
}
