import { runScript } from '../src/cli/terminal/command-line.ts'
import { encoderPlan, MINILM } from '../synthetic/verge-encoder.ts'
import { bundle } from './lib/bundle.ts'
import { Connection, requestBytes } from './lib/connection.ts'
import { machine } from './lib/machine.ts'
import { plainText } from './lib/table.ts'
import { ask } from './lib/worker-client.ts'
import { startWorker, stopAllWorkers, type WorkerProcess } from './lib/worker-process.ts'
import { attentionWork, enginePart, pagedEncoder, productWork } from './models/engine-plans.ts'

const HELP = `Measures Verge's own engine in workerd, by CPU time: parts of an encoder of MiniLM's shape, and the whole.

Usage: node bench/engine.ts [rounds]

  rounds   measurements of everything, in turn; the best counts (5)

The limit is the processor's own, in the same process: 8-bit dots on registers, without a load. Products are the four of each
of six layers, with quantizing, packing and bias. Every figure is of warm code: a kernel is compiled again, and better, after
some calls. Weights are made up. "Hot rows" is the whole with its table of words stored for pages, all rows hot: times the same
without.`

const ROWS = [16, 128, 512]
const PARTS = ['products', 'attention', 'gelu', 'norms', 'encoder', 'hot rows'] as const
/** Multiply-adds of a call of the probe, and calls of one measurement. */
const PROBE = { work: 128_000_000, times: 400 }
/** Long against the 10 ms in which the system counts CPU time. */
const MEASURED_MS = 600

await runScript(HELP, async () => {
  if (process.argv.includes('--help')) return HELP
  const rounds = Number(process.argv[2] ?? 5)
  try {
    const worker = await startWorker(await bundle('engine'))
    return await measure(worker, rounds)
  } finally {
    await stopAllWorkers()
  }
})

async function measure(worker: WorkerProcess, rounds: number): Promise<string> {
  const connection = await Connection.open(worker.url)
  const cpuOf = async (what: string, rows: number, times: number): Promise<number> => {
    const before = worker.cpuMs()
    await ask(connection, requestBytes({ path: `${pathOf(what)}&rows=${rows}&times=${times}` }))
    return (worker.cpuMs() - before) / times
  }
  const best = new Map<string, number>()
  const times = new Map<string, number>()
  for (const what of PARTS) {
    const body = Buffer.from(await artifactOf(what))
    await ask(connection, requestBytes({ path: pathOf(what), method: 'POST', body }))
    for (const rows of ROWS) {
      await cpuOf(what, rows, Math.max(20, Math.ceil(2000 / rows)))
      const one = await cpuOf(what, rows, 10)
      times.set(`${what} ${rows}`, Math.max(3, Math.ceil(MEASURED_MS / Math.max(0.1, one))))
    }
  }
  await cpuOf('probe', 0, PROBE.times)
  for (let round = 0; round < rounds; round++) {
    keepBest(best, 'probe', await cpuOf('probe', 0, PROBE.times))
    for (const what of PARTS) {
      for (const rows of ROWS) {
        const key = `${what} ${rows}`
        keepBest(best, key, await cpuOf(what, rows, times.get(key) ?? 10))
      }
    }
  }
  const limit = PROBE.work / (best.get('probe') ?? 1) / 1e6
  const rate = (work: number, ms: number) => work / ms / 1e6
  const lines = ROWS.map((rows) => {
    const ms = (what: string) => best.get(`${what} ${rows}`) ?? Number.NaN
    const products = rate(productWork(rows), ms('products'))
    return [
      String(rows),
      ms('encoder').toFixed(2),
      (ms('hot rows') / ms('encoder')).toFixed(3),
      ms('products').toFixed(2),
      `${products.toFixed(1)} (${((100 * products) / limit).toFixed(0)} %)`,
      ms('attention').toFixed(2),
      rate(attentionWork(rows), ms('attention')).toFixed(1),
      ms('gelu').toFixed(2),
      ms('norms').toFixed(2),
    ]
  })
  const { cpu, cores, workerd } = machine()
  return plainText({
    title: `Verge's own engine in workerd ${workerd}, ${cores} cores of ${cpu}; CPU ms, best of ${rounds}; limit ${limit.toFixed(1)} GMAC/s`,
    head: ['tokens', 'encoder', 'hot rows', 'products', 'GMAC/s (of limit)', 'attention', 'GMAC/s', 'gelu', 'norms'],
    rows: lines,
  })
}

function pathOf(what: string): string {
  return `/?what=${encodeURIComponent(what)}`
}

async function artifactOf(what: (typeof PARTS)[number]): Promise<Uint8Array> {
  if (what === 'hot rows') return pagedEncoder()
  return (what === 'encoder' ? encoderPlan(MINILM) : enginePart(what)).artifact()
}

function keepBest(best: Map<string, number>, key: string, ms: number): void {
  best.set(key, Math.min(best.get(key) ?? Number.POSITIVE_INFINITY, ms))
}
