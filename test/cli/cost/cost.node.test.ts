import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import {
  type CostedModel,
  coldLoad,
  freeObstacles,
  marginalBill,
  paidBill,
  usageOf,
} from '../../../src/cli/cost/estimate.ts'
import { readPrices } from '../../../src/cli/cost/prices.ts'
import { COST_MARKERS } from '../../../src/cli/cost/table.ts'
import { betweenMarkers } from '../../../src/cli/files/markers.ts'
import { ROOT } from '../../../src/cli/files/project.ts'

const prices = await readPrices(join(ROOT, 'deploy/prices.json'))

const encoder: CostedModel = {
  name: 'encoder',
  artifactBytes: 22_650_000,
  chunks: 3,
  otherBytes: 700_000,
  otherChunks: 1,
  coldCpuMs: 500,
  warmCpuMs: 80,
}

/** The worked examples on Cloudflare's own pages (see the sources in deploy/prices.json). */
describe('bills', () => {
  it.each([
    ['15 million requests of 7 ms', { requests: 15e6, cpuMs: 105e6 }, 8.0],
    ['100 million requests of 7 ms', { requests: 100e6, cpuMs: 700e6 }, 45.4],
    ['720 requests of 3 minutes', { requests: 720, cpuMs: 720 * 180_000 }, 6.99],
    ['300 million reads from R2', { r2ClassB: 300e6 }, 5 + 104.4],
    ['nothing at all', {}, 5],
  ])('%s', (_what, usage, dollars) => {
    expect(paidBill(usage, prices)).toBeCloseTo(dollars, 2)
  })

  it("rounds R2's operations up to whole millions, and nothing else", () => {
    expect(paidBill({ r2ClassB: 10e6 + 1 }, prices)).toBeCloseTo(5.36, 6)
    expect(paidBill({ kvReads: 10e6 + 1 }, prices)).toBeLessThan(5.001)
  })
})

describe('usage', () => {
  it('of a cold load: alias, manifest and chunks, from KV, and from R2 where they are not hot', () => {
    expect(coldLoad(encoder, true)).toEqual({ bytes: 23_350_000, kvReads: 6, r2Reads: 0 })
    expect(coldLoad(encoder, false)).toEqual({ bytes: 23_350_000, kvReads: 6, r2Reads: 4 })
  })

  it('of many requests, and what it costs', () => {
    const usage = usageOf(encoder, 1_000_000, 0.01, true)
    expect(usage).toEqual({ requests: 1e6, cpuMs: 10_000 * 500 + 990_000 * 80, kvReads: 990_000 + 60_000, r2ClassB: 0 })
    // 84.2 million ms, 30 of them included, at $0.02; everything else is within what is included
    expect(paidBill(usage, prices)).toBeCloseTo(5 + 54.2 * 0.02, 6)
    expect(marginalBill(usage, prices)).toBeCloseTo(0.3 + 84.2 * 0.02 + 1.05 * 0.5, 6)
    expect(usageOf(encoder, 1000, 1, false).r2ClassB).toBe(4000)
  })

  it('is held against what the free plan allows', () => {
    const usage = usageOf(encoder, 1_000_000, 0.01, true)
    expect(freeObstacles(encoder, usage, prices)).toEqual([
      'a warm request needs 80 ms of CPU; the limit is 10',
      'the first request in an isolate needs 500 ms of CPU; the limit is 10',
    ])
    const tiny = { ...encoder, warmCpuMs: 2, coldCpuMs: 9 }
    expect(freeObstacles(tiny, usageOf(tiny, 1_000_000, 0.01, true), prices)).toEqual([])
    expect(freeObstacles(tiny, usageOf(tiny, 4_000_000, 0, true), prices)).toEqual([
      'requests: 133333 a day; the limit is 100000',
      'kvReads: 133333 a day; the limit is 100000',
    ])
  })
})

describe('the command', () => {
  const run = async (...args: string[]): Promise<string> => {
    const { stdout } = await promisify(execFile)(process.execPath, [join(ROOT, 'scripts/cost.ts'), ...args], {
      cwd: ROOT,
    })
    return stdout
  }

  it('computes a model of your own', async () => {
    const output = await run('--bytes', '22650000', '--cold-cpu-ms', '500', '--warm-cpu-ms', '80')
    expect(output).toContain('| your model | 22.6 MB | 5 | 0 | 5 | 3 | 500 |')
    expect(output).toContain('$6.08')
    expect(output).toContain(prices.read)
  })

  it('prints what docs/cost.md says', async () => {
    const page = await readFile(join(ROOT, 'docs/cost.md'), 'utf8')
    const fresh = betweenMarkers(page, COST_MARKERS, (await run()).trimEnd())
    expect(fresh, 'bring it up to date: node scripts/cost.ts --write').toBe(page)
  })

  it('takes its times from a run of the benchmark', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'verge-cost-'))
    try {
      const file = join(folder, 'last.json')
      const time = (p50: number) => ({ count: 9, p50, p95: p50, mad: 0, min: p50 })
      const warm = (engine: string, size: string, p50: number) => ({ model: 'encoder', size, engine, time: time(p50) })
      const result = {
        schema: 1,
        date: '2026-11-22T09:00:00.000Z',
        machine: { cpu: 'a processor', cores: 2, workerd: '1.2' },
        fit: [
          { model: 'encoder', edgeBytes: 22_650_000 },
          { model: 'too-large', edgeBytes: null },
        ],
        cold: [
          { model: 'encoder', way: 'plain', total: time(900) },
          { model: 'encoder', way: 'verge', total: time(500) },
        ],
        warm: [warm('native', '128 tokens', 15), warm('verge', '128 tokens', 80), warm('verge', '256 tokens', 170)],
      }
      await writeFile(file, JSON.stringify(result))
      const output = await run('--figures', file)
      expect(output).toContain('| encoder, 128 tokens | 22.6 MB | 5 | 0 | 5 | 3 | 500 |')
      expect(output).toContain('$6.08')
      expect(output).not.toContain('too-large')
      expect(output).toContain('2 cores of a processor')
      // A request is billed for its CPU time, where that was measured, and not for the start-up.
      const row = { model: 'encoder', isolate: time(70), helpers: time(9) }
      await writeFile(file, JSON.stringify({ ...result, firstRequests: { models: [row] } }))
      const measured = await run('--figures', file)
      expect(measured).toContain('| encoder, 128 tokens | 22.6 MB | 5 | 0 | 5 | 3 | 70 |')
      expect(measured).toContain("CPU time of the isolate's thread")
      await writeFile(file, JSON.stringify({ schema: 2 }))
      await expect(run('--figures', file)).rejects.toThrow('not a result of this version of the benchmark')
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  it('names what is wrong in a price file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'verge-cost-'))
    try {
      const file = join(folder, 'prices.json')
      await writeFile(file, JSON.stringify({ ...prices, read: 'yesterday' }))
      await expect(readPrices(file)).rejects.toThrow(/prices.json is invalid:\n {2}read: /)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
})
