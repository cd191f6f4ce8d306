import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ReleaseBody, releaseBodySchema } from '../../src/protocols/verge/releases.ts'
import { onnxModel } from '../../synthetic/onnx.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { publishModel, writerFor } from '../fixtures/node/publish.ts'

const KEY = 'a-key-for-the-canary-0123456789'
const SPEC = { datatype: 'FP32' as const, shape: ['n'] }
const SIGNATURE = { inputs: [{ name: 'x', ...SPEC }], outputs: [{ name: 'y', ...SPEC }] }
const modelOf = (op: 'Identity' | 'Relu') => onnxModel({ ...SIGNATURE, nodes: [{ op, inputs: ['x'], outputs: ['y'] }] })

describe('a canary in a Worker', () => {
  let worker: LiveWorker

  beforeAll(async () => {
    worker = await startLiveWorker({ VERGE_API_KEY: KEY })
    const writer = await writerFor(worker)
    await publishModel(writer, 'tried', modelOf('Identity'), SIGNATURE)
    await publishModel(writer, 'tried', modelOf('Relu'), SIGNATURE, { extra: { version: '2' } })
    await writer.updateAlias('tried', (old) => ({
      visibility: 'public',
      versions: old?.versions ?? {},
      live: [
        { version: '1', weight: 1 },
        { version: '2', weight: 1 },
      ],
      canary: { version: '2', against: '1', shadow: 1, guarded: true },
    }))
  })
  afterAll(() => worker.dispose())

  let callers = 0
  /** As another caller each time. @returns the version that answered */
  async function ask(x: number): Promise<string | undefined> {
    const response = await fetch(`${worker.url}/v2/models/tried/infer`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'user-agent': `caller ${++callers}` },
      body: JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1], data: [x] }] }),
    })
    expect(response.status).toBe(200)
    return ((await response.json()) as { model_version?: string }).model_version
  }

  async function release(): Promise<ReleaseBody> {
    const response = await fetch(`${worker.url}/v1/releases/tried`, { headers: { authorization: `Bearer ${KEY}` } })
    return releaseBodySchema.parse(await response.json())
  }

  it('that is wrong on a fifth of the requests goes back by itself within 200 of its own', async () => {
    let canaries = 0
    // Several callers at once, so that comparisons and requests share the engine.
    const asked = async (x: number): Promise<void> => {
      if ((await ask(x)) === '2') canaries++
    }
    const isWatched = async () => ['watching', undefined].includes((await release()).watch?.verdict)
    // Of what is asked, the two versions differ on every fifth.
    while (canaries < 200 && (await isWatched())) await Promise.all([-1, 1, 1, 1, 1].map(asked))
    expect(canaries).toBeLessThan(200)
    await expect.poll(async () => (await release()).watch?.verdict).toBe('stopped')
    await expect.poll(async () => (await release()).stopped?.version).toBe('2')
    const { live, stopped, watch } = await release()
    expect(live).toEqual([{ version: '1', weight: 1 }])
    expect(stopped?.reason).toMatch(/^disagreement: /)
    expect(watch?.counts.disagreed.of).toBeGreaterThan(0)
    for (let i = 0; i < 10; i++) expect(await ask(1)).toBe('1')
  })
})
