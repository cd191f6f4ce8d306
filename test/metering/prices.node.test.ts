import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readBenchFigures } from '../../src/cli/cost/bench-figures.ts'
import { marginalBill } from '../../src/cli/cost/estimate.ts'
import { readPrices } from '../../src/cli/cost/prices.ts'
import { ROOT } from '../../src/cli/files/project.ts'
import { cpuMsOf, nanoUsd, usdFromNano, usdOf } from '../../src/metering/prices.ts'

describe('the price of a request', () => {
  it('is what "npm run cost" adds to a bill beyond what is included', async () => {
    const prices = await readPrices(join(ROOT, 'deploy/prices.json'))
    for (const [requests, units] of [
      [1, 0],
      [1_000_000, 0],
      [1_000_000, 11_130_000],
      [3, 340.5],
    ] as const) {
      const cpuMs = cpuMsOf({ requests, units })
      const bill = marginalBill({ requests, cpuMs, kvReads: requests }, prices)
      expect(usdOf({ requests, units })).toBeCloseTo(bill, 12)
    }
  })

  it('agrees with the measured times of the models here, whose costs are measured, within a factor of 2', async () => {
    const { models } = await readBenchFigures(join(ROOT, 'bench/results/last.json'))
    const elements: Readonly<Record<string, number>> = { digits: 28 * 28, reviews: 128 }
    for (const [model, length] of Object.entries(elements)) {
      const description = JSON.parse(await readFile(join(ROOT, 'models', model, 'verge.json'), 'utf8')) as {
        readonly artifacts: readonly { readonly cost: { readonly base: number; readonly perElement: number } }[]
      }
      const cost = description.artifacts[0]?.cost
      const measured = models.find(({ folder }) => folder === model)?.warmCpuMs
      if (cost === undefined || measured === undefined) throw new Error(`${model} was not measured`)
      const estimated = cpuMsOf({ requests: 1, units: cost.base + cost.perElement * length })
      // Machines that the benchmark has run on differ by 1.8.
      expect(estimated / measured).toBeGreaterThan(1 / 2)
      expect(estimated / measured).toBeLessThan(2)
    }
  })

  it('has what origins cost beside it', () => {
    expect(usdOf({ requests: 0, units: 0, originUsd: 1.5 })).toBe(1.5)
  })

  it('is stored in whole thousand millionths of a dollar', () => {
    expect(nanoUsd(usdOf({ requests: 1, units: 0 }))).toBe(806)
    expect(usdFromNano(1_500_000_000)).toBe(1.5)
  })
})
