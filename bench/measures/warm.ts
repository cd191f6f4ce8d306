import { performance } from 'node:perf_hooks'
import { nativeRunner, type Runner, webRunner } from '../lib/baselines.ts'
import { Connection } from '../lib/connection.ts'
import { binaryRequest, type Input, plainRequest } from '../lib/oip.ts'
import { type Summary, summarise } from '../lib/stats.ts'
import { ask } from '../lib/worker-client.ts'
import { startWorker } from '../lib/worker-process.ts'
import type { Subject } from '../models/subjects.ts'
import type { Bench } from './context.ts'

export const ENGINES = ['verge', 'plain', 'web', 'native'] as const
export type EngineName = (typeof ENGINES)[number]

/** Time of one answer by a model that is loaded, in milliseconds. Workers are asked over HTTP, the rest is called. */
export interface WarmRow {
  readonly model: string
  readonly size: string
  readonly engine: EngineName
  readonly time: Summary
}

/** V8 compiles WebAssembly once more, and better, after a while; until then runs are several times slower. */
const WARM_UP_MS = 1_500
const WARM_UP_RUNS = 5

/** Engines take turns, so that a disturbance of the machine hits all of them. */
export async function measureWarm(
  bench: Bench,
  model: Subject,
  engines: readonly EngineName[] = ENGINES,
): Promise<WarmRow[]> {
  const { effort, progress } = bench
  progress(`warm latency of ${model.name}`)
  const sizes = effort.everySize ? model.sizes : model.sizes.slice(-1)
  const runners = new Map<EngineName, Runner>()
  try {
    for (const engine of engines) runners.set(engine, await start(bench, engine, model))
    const rows: WarmRow[] = []
    for (const { label, inputs } of sizes) {
      for (const runner of runners.values()) await warmUp(runner, inputs)
      const times = new Map(engines.map((engine) => [engine, [] as number[]]))
      for (let round = 0; round < effort.warmRounds; round++) {
        for (const [engine, runner] of runners) {
          times.get(engine)?.push(...(await sample(runner, inputs, effort.warmSamples)))
        }
      }
      for (const [engine, values] of times) {
        rows.push({ model: model.name, size: label, engine, time: summarise(values) })
      }
    }
    return rows
  } finally {
    for (const runner of runners.values()) await runner.stop()
  }
}

/** So long at the least in each round: many runs of a small model, so that its median is not that of a disturbance. */
const ROUND_MS = 200

async function sample(runner: Runner, inputs: readonly Input[], atLeast: number): Promise<number[]> {
  const times: number[] = []
  const end = performance.now() + ROUND_MS
  for (let begun = performance.now(); times.length < atLeast || begun < end; begun = performance.now()) {
    await runner.run(inputs)
    times.push(performance.now() - begun)
  }
  return times
}

async function warmUp(runner: Runner, inputs: readonly Input[]): Promise<void> {
  const end = performance.now() + WARM_UP_MS
  for (let run = 0; run < WARM_UP_RUNS || performance.now() < end; run++) await runner.run(inputs)
}

function start(bench: Bench, engine: EngineName, { name, onnx }: Subject): Promise<Runner> {
  switch (engine) {
    case 'verge':
      return workerRunner(bench.bundles.verge, (inputs) => binaryRequest(name, inputs))
    case 'plain':
      return workerRunner(bench.bundles.plain, (inputs) => plainRequest(name, inputs))
    case 'web':
      return webRunner(onnx)
    case 'native':
      return nativeRunner(onnx)
  }
}

async function workerRunner(directory: string, toRequest: (inputs: readonly Input[]) => Buffer): Promise<Runner> {
  const worker = await startWorker(directory)
  const connection = await Connection.open(worker.url)
  // What a client does to make a request is not part of the answer's time.
  const requests = new Map<readonly Input[], Buffer>()
  return {
    async run(inputs) {
      const request = requests.get(inputs) ?? toRequest(inputs)
      requests.set(inputs, request)
      await ask(connection, request)
    },
    async stop() {
      connection.close()
      await worker.stop()
    },
  }
}
