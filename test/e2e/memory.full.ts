import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { measureMemory } from '../../src/cli/measure/memory.ts'
import { sha256 } from '../../src/cli/pack/bytes.ts'
import { toOrtFormat } from '../../src/cli/pack/convert.ts'
import { LOOKUP_COLUMNS, lookupModel, lookupRow, MATMUL_INNER, matmulModel } from '../../synthetic/onnx-models.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { publishModel, writerFor } from '../fixtures/node/publish.ts'

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

/** Weights of the thirteen, and of the one. */
const ORDINARY_BYTES = 2 * MiB
const HEAVY_BYTES = 12 * MiB

describe.each([
  { manifests: 'that say what runs take', measured: true },
  { manifests: 'from before runs were measured', measured: false },
])('thirteen ordinary models and a large one, with manifests $manifests', ({ measured }) => {
  let worker: LiveWorker

  beforeAll(async () => {
    worker = await startLiveWorker()
    const writer = await writerFor(worker)
    const publish = async (name: string, onnx: Uint8Array): Promise<void> => {
      const { bytes } = await toOrtFormat(onnx)
      const info = { sha256: sha256(bytes), format: 'ort' as const, bytes: bytes.length }
      const memory = await measureMemory(info, bytes, onnx)
      const { memoryBytes } = memory
      const signature = {
        inputs: [{ name: 'x', datatype: 'FP32' as const, shape: ['n', MATMUL_INNER] }],
        outputs: [{ name: 'mean', datatype: 'FP32' as const, shape: ['n', 1] }],
      }
      await publishModel(writer, name, bytes, signature, {
        artifact: { format: 'ort', ...(measured ? memory : { memoryBytes }) },
      })
    }
    for (let index = 0; index < 13; index++) {
      await publish(`ordinary-${index}`, matmulModel((1 + index / 12) * ORDINARY_BYTES, index + 1))
    }
    await publish('heavy', matmulModel(HEAVY_BYTES, 99))
  })
  afterAll(() => worker.dispose())

  async function ask(name: string, rows: number): Promise<{ status: number; body: Record<string, unknown> }> {
    const data = new Array<number>(rows * MATMUL_INNER).fill(0.5)
    const response = await fetch(`${worker.url}/v2/models/${name}/infer`, {
      method: 'POST',
      body: JSON.stringify({ inputs: [{ name: 'x', shape: [rows, MATMUL_INNER], datatype: 'FP32', data }] }),
    })
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }

  it('answers for each of them, asked one at a time, again and again', async () => {
    const statuses: number[] = []
    for (let round = 0; round < 2; round++) {
      for (let index = 0; index < 13; index++) statuses.push((await ask(`ordinary-${index}`, 250)).status)
      for (const rows of [1, 100, 180]) statuses.push((await ask('heavy', rows)).status)
    }
    expect(statuses).toEqual(new Array(32).fill(200))
  })

  it('refuses what no isolate has room for, with a size that has', async () => {
    let rows = 330
    for (let tries = 0; tries < 4; tries++) {
      const { status, body } = await ask('heavy', rows)
      if (status === 200) break
      expect(status, JSON.stringify(body)).toBe(413)
      expect(body).toMatchObject({ code: 'run_too_large', elements: rows * MATMUL_INNER })
      rows = Math.floor(Number(body.limit_elements) / MATMUL_INNER)
    }
    expect(rows).toBeGreaterThan(150)
    expect(rows).toBeLessThan(330)
  })
})
