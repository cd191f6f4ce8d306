import { performance } from 'node:perf_hooks'
import { median } from '../../src/cli/statistics.ts'
import { nativeOutput, nativeRunner, ownRunner, type Runner, webRunner } from '../lib/baselines.ts'
import { Connection } from '../lib/connection.ts'
import { binaryRequest, type Input, plainRequest } from '../lib/oip.ts'
import { type Summary, summarise } from '../lib/stats.ts'
import { tfjsRunner } from '../lib/tfjs.ts'
import { varsOf, WAYS } from '../lib/ways.ts'
import { ask, timingsOf, wasmHeapBytes } from '../lib/worker-client.ts'
import { startWorker } from '../lib/worker-process.ts'
import { compiledOf, type Subject } from '../models/subjects.ts'
import type { Bench } from './context.ts'

/**
 * `uncapped` is Verge's own engine in a Worker that knows no limit on memory, for what does not fit an isolate; `own` is the
 * same engine in Node.
 */
export const ENGINES = [...WAYS, 'uncapped', 'own', 'web', 'tfjs', 'native'] as const
export type EngineName = (typeof ENGINES)[number]

/** Time of one answer by a model that is loaded, in milliseconds. Workers are asked over HTTP, the rest is called. */
export interface WarmRow {
  readonly model: string
  readonly size: string
  readonly engine: EngineName
  readonly time: Summary
  /** Milliseconds of the run inside the isolate, without HTTP; null outside Workers. */
  readonly insideMs: number | null
  /** Of the WebAssembly memory after these runs; null outside Workers. */
  readonly heapBytes: number | null
}

/** V8 compiles WebAssembly once more, and better, after a while; until then runs are several times slower. */
const WARM_UP_MS = 1_500
const WARM_UP_RUNS = 5

/** A runner in a Worker, which can look inside. */
interface WarmRunner extends Runner {
  /** Of all runs so far, together. */
  insideMs?(): number
  heapBytes?(): Promise<number>
}

/** Engines take turns, so that a disturbance of the machine hits all of them. */
export async function measureWarm(bench: Bench, model: Subject, engines: readonly EngineName[]): Promise<WarmRow[]> {
  const { effort, progress } = bench
  progress(`warm latency of ${model.name}`)
  // The smallest, which cold starts are measured with.
  const sizes = effort.everySize ? model.sizes : model.sizes.slice(0, 1)
  const runners = new Map<EngineName, WarmRunner>()
  try {
    for (const engine of engines) runners.set(engine, await start(bench, engine, model))
    const rows: WarmRow[] = []
    for (const { label, inputs } of sizes) {
      for (const runner of runners.values()) await warmUp(runner, inputs)
      const rounds = new Map(engines.map((engine) => [engine, [] as Round[]]))
      for (let round = 0; round < effort.warmRounds; round++) {
        for (const [engine, runner] of runners) {
          rounds.get(engine)?.push(await sample(runner, inputs, effort.warmSamples))
        }
      }
      for (const [engine, runner] of runners) {
        const found = rounds.get(engine) ?? []
        const inside = found.flatMap(({ inside }) => inside ?? [])
        rows.push({
          model: model.name,
          size: label,
          engine,
          time: summarise(found.flatMap(({ times }) => times)),
          insideMs: inside.length === 0 ? null : median(inside),
          heapBytes: (await runner.heapBytes?.()) ?? null,
        })
      }
    }
    return rows
  } finally {
    for (const runner of runners.values()) await runner.stop()
  }
}

/** So long at the least in each round: many runs of a small model, so that its median is not that of a disturbance. */
const ROUND_MS = 200

interface Round {
  readonly times: readonly number[]
  /** Of the runs inside the isolate on average: its clock has whole milliseconds, which single runs do not. */
  readonly inside: number | undefined
}

async function sample(runner: WarmRunner, inputs: readonly Input[], atLeast: number): Promise<Round> {
  const times: number[] = []
  const insideBefore = runner.insideMs?.() ?? 0
  const end = performance.now() + ROUND_MS
  for (let begun = performance.now(); times.length < atLeast || begun < end; begun = performance.now()) {
    await runner.run(inputs)
    times.push(performance.now() - begun)
  }
  const inside = runner.insideMs && (runner.insideMs() - insideBefore) / times.length
  return { times, inside }
}

async function warmUp(runner: Runner, inputs: readonly Input[]): Promise<void> {
  const end = performance.now() + WARM_UP_MS
  for (let run = 0; run < WARM_UP_RUNS || performance.now() < end; run++) await runner.run(inputs)
}

function start({ bundles }: Bench, engine: EngineName, model: Subject): Promise<WarmRunner> {
  const { name, onnx } = model
  switch (engine) {
    case 'verge':
    case 'onnxruntime':
      return workerRunner(bundles.verge, engine, varsOf(engine), (inputs) => binaryRequest(name, inputs))
    case 'plain':
    case 'uncapped':
      return workerRunner(bundles[engine], engine, {}, (inputs) => plainRequest(name, inputs))
    case 'own':
      return ownRunner(compiledOf(model))
    case 'web':
      return webRunner(onnx)
    case 'tfjs':
      return comparedTfjs(model)
    case 'native':
      return nativeRunner(onnx)
  }
}

/** Largest difference from the answer of onnxruntime-node, by the largest number in it. */
const TFJS_TOLERANCE = 1e-4

/** @throws Error where it does not run the same network as the others */
async function comparedTfjs({ name, onnx, sizes }: Subject): Promise<WarmRunner> {
  const runner = await tfjsRunner(onnx)
  const inputs = sizes[0]?.inputs ?? []
  const [answer, reference] = [await runner.outputOf(inputs), await nativeOutput(onnx, inputs)]
  const largest = reference.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  const apart = reference.reduce((most, value, index) => Math.max(most, Math.abs(value - (answer[index] ?? NaN))), 0)
  if (answer.length !== reference.length || !(apart <= TFJS_TOLERANCE * largest)) {
    throw new Error(`TensorFlow.js answers ${name} otherwise than onnxruntime-node: ${apart} apart, of ${largest}`)
  }
  return runner
}

async function workerRunner(
  directory: string,
  engine: EngineName,
  vars: Readonly<Record<string, string>>,
  toRequest: (inputs: readonly Input[]) => Buffer,
): Promise<WarmRunner> {
  const worker = await startWorker(directory, { vars })
  const connection = await Connection.open(worker.url)
  // What a client does to make a request is not part of the answer's time.
  const requests = new Map<readonly Input[], Buffer>()
  let insideMs = 0
  return {
    async run(inputs) {
      const request = requests.get(inputs) ?? toRequest(inputs)
      requests.set(inputs, request)
      // A part that measured nothing is absent.
      insideMs += timingsOf(await ask(connection, request)).run ?? 0
    },
    insideMs: () => insideMs,
    heapBytes: () => wasmHeapBytes(connection, engine),
    async stop() {
      connection.close()
      await worker.stop()
    },
  }
}
