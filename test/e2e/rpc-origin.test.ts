import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'
import { WORKER_NAME } from '../../src/cli/local/workerd.ts'
import { packFolder } from '../../src/cli/pack/packer.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { type OriginProcess, startOriginProcess } from '../fixtures/node/origin-process.ts'
import { publishAs } from '../fixtures/node/placed-worker.ts'
import { writerFor } from '../fixtures/node/publish.ts'

const KEY = 'the key that Worker and origin share in this test'

const CALLER = `
export default {
  async fetch(request, env) {
    return Response.json(await env.VERGE.tryRun(...(await request.json())))
  },
}`

describe("another Worker's call of a language model that lies at an origin alone", () => {
  let origin: OriginProcess
  let worker: LiveWorker
  let cache: string
  let ask: (...args: unknown[]) => Promise<Record<string, unknown>>

  beforeAll(async () => {
    cache = await mkdtemp(join(tmpdir(), 'verge-rpc-origin-'))
    const from = join(ROOT, 'models')
    origin = await startOriginProcess({ from, cache, keys: [KEY], args: ['--models', 'abacus'] })
    const origins = [{ name: 'local', url: origin.url, auth: { type: 'hmac', key: 'ORIGIN_KEY' } }]
    worker = await startLiveWorker({ ORIGINS: JSON.stringify(origins), ORIGIN_KEY: KEY }, [
      {
        name: 'caller',
        script: CALLER,
        compatibilityDate: '2026-10-23',
        serviceBindings: { VERGE: { name: WORKER_NAME, entrypoint: 'VergeRpc' } },
      },
    ])
    const packed = await packFolder(join(ROOT, 'models/abacus'))
    const artifacts = packed.manifest.artifacts.filter(({ places }) => places.includes('origin'))
    await publishAs(await writerFor(worker), packed, 'abacus', { artifacts })
    const caller = await worker.miniflare.getWorker('caller')
    ask = async (...args) => {
      const response = await caller.fetch('http://caller', { method: 'POST', body: JSON.stringify(args) })
      return (await response.json()) as Record<string, unknown>
    }
  })
  afterAll(async () => {
    await worker?.dispose()
    await origin?.stop()
    await rm(cache, { recursive: true, force: true })
  })

  it('is answered by the origin, in the words of the task', async () => {
    const parameters = { max_new_tokens: 8, do_sample: false, return_full_text: false }
    const outcome = await ask('abacus', '27 plus 58 is', { parameters })
    expect(outcome).toMatchObject({ ok: true, answer: [{ generated_text: expect.stringContaining('85') }] })
  })

  it('hears what the origin finds wrong with it', async () => {
    const outcome = await ask('abacus', '27 plus 58 is', { parameters: { max_new_tokens: 100_000 } })
    expect(outcome).toMatchObject({ ok: false, error: { code: 'context_length_exceeded', status: 400 } })
  })

  it('is told when the origin is gone', async () => {
    await origin.stop()
    const outcome = await ask('abacus', '27 plus 58 is')
    expect(outcome).toMatchObject({ ok: false, error: { code: 'origin_unavailable', status: 503 } })
  })
})
