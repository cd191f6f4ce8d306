import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { publishModel, writerFor } from '../fixtures/node/publish.ts'
import { LOOKUP_COLUMNS, lookupModel, lookupRow } from '../fixtures/onnx-models.ts'

const MiB = 1024 * 1024
const SWAPS = 50
/** Two of these are over the session budget, so that each use of one evicts the other. */
const MODEL_BYTES = 12 * MiB

describe('memory', () => {
  let worker: LiveWorker

  beforeAll(async () => {
    worker = await startLiveWorker()
    const writer = await writerFor(worker)
    for (const [index, name] of ['one', 'two', 'three'].entries()) {
      await publishModel(writer, name, lookupModel(MODEL_BYTES, index + 1), {
        inputs: [{ name: 'row', datatype: 'INT64', shape: ['n'] }],
        outputs: [{ name: 'values', datatype: 'FP32', shape: ['n', LOOKUP_COLUMNS] }],
      })
    }
  })
  afterAll(() => worker.dispose())

  async function lookup(name: string, row: number): Promise<{ placement: string; values: number[] }> {
    const response = await fetch(`${worker.url}/v2/models/${name}/infer`, {
      method: 'POST',
      body: JSON.stringify({ inputs: [{ name: 'row', shape: [1], datatype: 'INT64', data: [row] }] }),
    })
    const body = (await response.json()) as { outputs?: { data: number[] }[] }
    expect(response.status, JSON.stringify(body)).toBe(200)
    return { placement: response.headers.get('verge-placement') ?? '', values: body.outputs?.[0]?.data ?? [] }
  }

  it(`stays bounded over ${SWAPS} swaps of models that do not fit together, with right answers throughout`, async () => {
    const names = ['one', 'two', 'three']
    await lookup('three', 0)
    const resident: number[] = []
    for (let swap = 0; swap < SWAPS; swap++) {
      const index = swap % names.length
      const { placement, values } = await lookup(names[index] ?? '', swap)
      expect(placement).toContain('start=cold')
      expect(values).toEqual([...lookupRow(swap, index + 1)])
      resident.push(worker.residentBytes())
    }
    const early = Math.max(...resident.slice(0, 10))
    const late = Math.max(...resident.slice(-10))
    console.log(
      `workerd resident: ${Math.round(early / MiB)} MiB at most in the first ten swaps, ${Math.round(late / MiB)} in the last`,
    )
    // Were anything kept, fifty swaps of 12 MiB of weights (36 MiB while they are parsed) would show as 600 MiB or more.
    expect(late - early).toBeLessThan(64 * MiB)
  })
})
