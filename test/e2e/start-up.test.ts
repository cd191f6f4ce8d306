/** What a fresh isolate has run before its first request. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { Inspector } from '../../bench/lib/inspector.ts'
import { bundleWorker } from '../../src/cli/local/bundle.ts'
import { startWorkerd, type WorkerdProcess } from '../../src/cli/local/workerd.ts'

const coverage = z.object({
  result: z.array(
    z.object({
      functions: z.array(z.object({ functionName: z.string(), ranges: z.array(z.object({ count: z.number() })) })),
    }),
  ),
})

/** Names of the functions that have run. V8 counts since the isolate began. */
async function namesOfRun(worker: WorkerdProcess): Promise<ReadonlySet<string>> {
  const inspector = await Inspector.open(worker)
  try {
    await inspector.call('Profiler.enable')
    const { result } = coverage.parse(await inspector.call('Profiler.getBestEffortCoverage'))
    const ran = result.flatMap(({ functions }) => functions).filter(({ ranges }) => (ranges[0]?.count ?? 0) > 0)
    // The bundler tells functions of one name apart by a number.
    return new Set(ran.map(({ functionName }) => functionName.replace(/\d+$/, '')))
  } finally {
    inspector.close()
  }
}

describe('a fresh isolate', () => {
  let worker: WorkerdProcess
  beforeAll(async () => {
    worker = await startWorkerd(await bundleWorker(), { inspected: true, direct: true })
  }, 120_000)
  afterAll(() => worker?.miniflare.dispose())

  it('has served its rehearsal before anybody asks', async () => {
    const names = await namesOfRun(worker)
    // From the first function of a request to the last one before its answer.
    const path = ['readInferRequest', 'parseManifest', 'readChunk', 'checkPlan', 'bindPlan', 'readTensor', 'partsOf']
    expect([...path, 'writeInferAnswer'].filter((name) => !names.has(name))).toEqual([])
  })

  it('has not started ONNX Runtime', async () => {
    expect(await namesOfRun(worker)).not.toContain('createMemory')
  })

  it('answers, with the bindings that it saw at start-up', async () => {
    expect((await fetch(worker.url)).status).toBe(200)
    const names = await namesOfRun(worker)
    expect(names).toContain('hasSame')
    expect((await fetch(`${worker.url}/v2/health/ready`)).status).toBe(200)
  })
})

describe('a fresh isolate with an invalid variable', () => {
  it('starts, and says in an answer which one', async () => {
    const worker = await startWorkerd(await bundleWorker(), { vars: { LOG_SAMPLE_RATE: 'often' } })
    try {
      const answer = await fetch(worker.url)
      expect(answer.status).toBe(500)
      expect(await answer.text()).toContain('LOG_SAMPLE_RATE')
    } finally {
      await worker.miniflare.dispose()
    }
  }, 120_000)
})
