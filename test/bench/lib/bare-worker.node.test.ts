import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startBareWorker } from '../../../bench/lib/bare-worker.ts'
import { Connection, requestBytes } from '../../../bench/lib/connection.ts'
import { fineCpuMs, threadTimes } from '../../../bench/lib/cpu-time.ts'
import { binaryRequest } from '../../../bench/lib/oip.ts'
import { OuterStores } from '../../../bench/lib/outer-stores.ts'
import { ROOT } from '../../../src/cli/files/project.ts'
import { bundleWorker } from '../../../src/cli/local/bundle.ts'
import { type PackedModel, packFolder } from '../../../src/cli/pack/packer.ts'

/** What a bare workerd answers to a request, and what its KV was asked for. */
async function asked(directory: string, stores: OuterStores, request: Buffer, inert = false) {
  const worker = await startBareWorker(directory, stores, { inert })
  try {
    const connection = await Connection.open(worker.url)
    try {
      stores.takeAsked()
      const before = threadTimes(worker.pid)
      const answer = await connection.exchange(request)
      const after = threadTimes(worker.pid)
      const threads = readdirSync(`/proc/${worker.pid}/task`).length
      const whole = fineCpuMs(worker.pid)
      return { answer, keys: stores.takeAsked(), before, after, threads, whole }
    } finally {
      connection.close()
    }
  } finally {
    await worker.stop()
  }
}

describe('a workerd of one Worker whose stores are elsewhere', () => {
  let packed: PackedModel
  let directory: string
  let stores: OuterStores
  const picture = { name: 'image', datatype: 'FP32', shape: [1, 1, 28, 28], data: new Float32Array(28 * 28) } as const
  const request = binaryRequest('digits', [picture])

  beforeAll(async () => {
    packed = await packFolder(join(ROOT, 'models/digits'))
    directory = await bundleWorker()
    stores = await OuterStores.open([{ packed }])
  }, 120_000)
  afterAll(() => stores?.close())

  it('serves a model, of which it asks KV for the alias, the manifest and each chunk once', async () => {
    const { after, answer, before, keys, threads, whole } = await asked(directory, stores, request)
    expect(answer.status).toBe(200)
    expect(answer.headers.get('verge-placement')).toMatch(/^edge;.*start=cold/)
    const { artifacts, version } = packed.manifest
    const chunks = artifacts.find(({ format }) => format === 'verge')?.chunks ?? []
    expect(keys).toEqual([
      'alias/digits',
      `manifest/digits/${version}`,
      ...chunks.map(({ sha256 }) => `blob/sha256/${sha256}`),
    ])
    // The isolate's thread did the work; beside it are V8's.
    expect(after.first).toBeGreaterThan(before.first)
    expect(threads).toBeGreaterThan(1)
    expect(whole).toBeGreaterThanOrEqual(after.first + after.others)
  }, 60_000)

  it('fails where R2 would have to be asked', async () => {
    const missing = binaryRequest('nothing', [picture])
    const { answer, keys } = await asked(directory, stores, missing)
    expect(answer.status).toBe(503)
    expect(keys).toEqual(['alias/nothing'])
  }, 60_000)

  it('starts with the same bytes and without the Worker, to be compared with', async () => {
    const { answer, keys } = await asked(directory, stores, requestBytes({ path: '/' }), true)
    expect([answer.body.toString(), keys]).toEqual(['inert', []])
  }, 60_000)
})
