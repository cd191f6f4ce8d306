import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LOOKUP_COLUMNS, lookupModel, lookupRow } from '../../synthetic/onnx-models.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { publishModel, writerFor } from '../fixtures/node/publish.ts'

const MiB = 1024 * 1024
/** Whether a caller leaves before its model is loaded is a race: on a busy machine it may need more than one. */
const MODELS = 6

describe('a cold model that three callers want at once', () => {
  let worker: LiveWorker

  beforeAll(async () => {
    worker = await startLiveWorker()
    const writer = await writerFor(worker)
    for (let seed = 1; seed <= MODELS; seed++) {
      await publishModel(writer, `large-${seed}`, lookupModel(14 * MiB, seed), {
        inputs: [{ name: 'row', datatype: 'INT64', shape: ['n'] }],
        outputs: [{ name: 'values', datatype: 'FP32', shape: ['n', LOOKUP_COLUMNS] }],
      })
    }
  })
  afterAll(() => worker.dispose())

  const infer = (model: string, signal?: AbortSignal): Promise<Response> =>
    fetch(`${worker.url}/v2/models/${model}/infer`, {
      method: 'POST',
      body: JSON.stringify({ inputs: [{ name: 'row', shape: [1], datatype: 'INT64', data: [3] }] }),
      ...(signal && { signal }),
    })

  it('is loaded once, and answers the others when the first leaves midway', async () => {
    const outcomes: string[] = []
    for (let seed = 1; seed <= MODELS && !outcomes.includes('left'); seed++) {
      const model = `large-${seed}`
      expect((await fetch(`${worker.url}/v2/models/${model}`)).status).toBe(200)
      const before = misses()
      const first = new AbortController()
      const left = infer(model, first.signal).then(
        () => 'answered',
        () => 'left',
      )
      const others = [infer(model), infer(model)]
      await new Promise((resolve) => setTimeout(resolve, 10))
      first.abort()
      outcomes.push(await left)
      for (const response of await Promise.all(others)) {
        expect(response.status).toBe(200)
        expect(await response.json()).toMatchObject({ outputs: [{ data: [...lookupRow(3, seed)] }] })
      }
      expect((await infer(model)).headers.get('verge-placement')).toContain('start=warm')
      // Weights that are in R2 only are missed in KV once a chunk, by whoever loads them.
      expect(misses() - before).toBe(2)
    }
    expect(outcomes).toContain('left')
  })

  function misses(): number {
    return worker.logs.filter((line) => line.includes('"chunk_unusable"') && line.includes('"missing"')).length
  }
})
