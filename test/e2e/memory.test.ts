import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LIMITS } from '../../src/core/limits.ts'
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
    const resident: number[] = []
    for (let swap = 0; swap < SWAPS; swap++) {
      const index = swap % names.length
      const { placement, values } = await lookup(names[index] ?? '', swap)
      expect(placement).toContain('start=cold')
      expect(values).toEqual([...lookupRow(swap, index + 1)])
      resident.push(worker.residentBytes())
    }
    const settled = Math.max(...resident.slice(5, 15))
    const last = Math.max(...resident.slice(-10))
    console.log(
      `workerd resident: ${Math.round((resident[0] ?? 0) / MiB)} MiB after the first model, ` +
        `${Math.round(settled / MiB)} MiB at most in swaps 6-15, ${Math.round(last / MiB)} MiB at most in the last ten`,
    )
    // Fifty swaps of 12 MiB of weights (36 MiB while parsing) would show as 600 MiB or more if anything were kept.
    expect(last - settled).toBeLessThan(32 * MiB)
    expect(last - (resident[0] ?? 0)).toBeLessThan(LIMITS.engineHeapBytes + 32 * MiB)
  })
})
