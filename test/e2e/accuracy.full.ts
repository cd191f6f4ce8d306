import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { HELD_OUT } from '../../src/cli/accuracy/held-out.ts'
import { measureAccuracy } from '../../src/cli/accuracy/measure.ts'
import { modelFolders, ROOT } from '../../src/cli/files/project.ts'
import { type Local, startLocal } from '../../src/cli/local/local.ts'
import { percentile } from '../../src/cli/statistics.ts'
import { freePort } from '../../src/cli/terminal/port.ts'

const DATA = join(ROOT, '../shared/datasets')
const haveData = existsSync(DATA)
if (!haveData) console.warn('SKIPPED: accuracy is not measured, because ../shared/datasets is missing')

/** What each model has to reach on all that was held out from its training. */
const LEAST: Readonly<Record<string, number>> = { digits: 0.985, reviews: 0.88 }

describe.skipIf(!haveData)('accuracy through HTTP (skipped only where ../shared/datasets is missing)', () => {
  let local: Local
  let persistTo: string

  beforeAll(async () => {
    persistTo = await mkdtemp(join(tmpdir(), 'verge-accuracy-'))
    const silent = (): void => {}
    local = await startLocal({
      port: await freePort(),
      persistTo,
      folders: await modelFolders(),
      progress: silent,
      log: silent,
    })
  })
  afterAll(async () => {
    await local?.server.stop()
    await rm(persistTo, { recursive: true, force: true })
  })

  it.each(HELD_OUT)('$model: $rule', async ({ model, read }) => {
    const samples = await read(DATA)
    const { right, count, latencies } = await measureAccuracy(`${local.server.url}/run/${model}`, samples, {
      concurrency: 2,
    })
    console.log(`${model}: ${right} of ${count}, p50 ${percentile(latencies, 0.5).toFixed(1)} ms`)
    expect(count).toBeGreaterThanOrEqual(2000)
    expect(right / count).toBeGreaterThanOrEqual(LEAST[model] ?? 1)
  })
})
