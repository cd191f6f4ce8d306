import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { publishModel, writerFor } from '../fixtures/node/publish.ts'
import { LOOKUP_COLUMNS, lookupModel, lookupRow } from '../fixtures/onnx-models.ts'

const MiB = 1024 * 1024

describe('a cold model that three callers want at once', () => {
  let worker: LiveWorker

  beforeAll(async () => {
    worker = await startLiveWorker()
    const writer = await writerFor(worker)
    await publishModel(writer, 'large', lookupModel(14 * MiB), {
      inputs: [{ name: 'row', datatype: 'INT64', shape: ['n'] }],
      outputs: [{ name: 'values', datatype: 'FP32', shape: ['n', LOOKUP_COLUMNS] }],
    })
  })
  afterAll(() => worker.dispose())

  const infer = (signal?: AbortSignal): Promise<Response> =>
    fetch(`${worker.url}/v2/models/large/infer`, {
      method: 'POST',
      body: JSON.stringify({ inputs: [{ name: 'row', shape: [1], datatype: 'INT64', data: [3] }] }),
      ...(signal && { signal }),
    })

  it('is loaded once, and answers the others when the first leaves midway', async () => {
    expect((await fetch(`${worker.url}/v2/models/large`)).status).toBe(200)
    const first = new AbortController()
    const left = infer(first.signal).then(
      () => 'answered',
      () => 'left',
    )
    const others = [infer(), infer()]
    await new Promise((resolve) => setTimeout(resolve, 10))
    first.abort()
    expect(await left).toBe('left')
    for (const response of await Promise.all(others)) {
      expect(response.status).toBe(200)
      expect(await response.json()).toMatchObject({ outputs: [{ data: [...lookupRow(3)] }] })
    }
    expect((await infer()).headers.get('verge-placement')).toContain('start=warm')
    // Weights that are in R2 only are missed in KV once a chunk, by whoever loads them.
    const missed = worker.logs.filter((line) => line.includes('"chunk_unusable"') && line.includes('"missing"'))
    expect(missed).toHaveLength(2)
  })
})
