import { performance } from 'node:perf_hooks'
import * as z from 'zod'
import { median } from '../../src/cli/statistics.ts'
import { type Connection, requestBytes } from '../lib/connection.ts'
import { fineCpuMs } from '../lib/cpu-time.ts'
import { binaryRequest, plainRequest } from '../lib/oip.ts'
import { type Summary, summarise } from '../lib/stats.ts'
import { varsOf, type Way, waysOf } from '../lib/ways.ts'
import { ask, connected, timingsOf, wasmHeapBytes } from '../lib/worker-client.ts'
import { startWorker, type WorkerProcess } from '../lib/worker-process.ts'
import type { Subject } from '../models/subjects.ts'
import type { Bench } from './context.ts'

/** From a process that does not exist to the first answer, in milliseconds. */
export interface ColdRow {
  readonly model: string
  readonly way: Way
  /** The workerd process listens: no part of a cold start in production. */
  readonly process: Summary
  /** First answer of a route without a model: the isolate evaluates its script. */
  readonly isolate: Summary
  /** The way's engine is instantiated. */
  readonly engine: Summary
  /** From the first read of weights to their last byte; null where it cannot be told from the session. */
  readonly fetch: Summary | null
  /** The session is made of them; null where it cannot be told from the fetch. */
  readonly session: Summary | null
  readonly fetchAndSession: Summary
  readonly firstRun: Summary
  /** Isolate to first run, without the process. */
  readonly total: Summary
  /** CPU time of the process for the isolate: its script, and compiling its WebAssembly modules. */
  readonly isolateCpu: Summary
  /** CPU time of the process from there to the first answer, the engine's start included. */
  readonly answerCpu: Summary
  readonly bytesFetched: number | null
  /** Of the engine's WebAssembly memory after the first answer, to the smallest input. */
  readonly heapBytes: number
  /** Of the same before the model. */
  readonly emptyHeapBytes: number
  readonly residentBytes: number
}

type Part = 'process' | 'isolate' | 'engine' | 'fetch' | 'session' | 'fetchAndSession' | 'firstRun' | 'total' | Cpu
type Cpu = 'isolateCpu' | 'answerCpu'
type Round = Readonly<Record<Part, number>> &
  Readonly<Record<'heapBytes' | 'emptyHeapBytes' | 'residentBytes' | 'bytesFetched', number>>

const reads = z.object({ bytes: z.record(z.string(), z.number()), milliseconds: z.number() })

export async function measureCold(bench: Bench, models: readonly Subject[]): Promise<ColdRow[]> {
  const rounds = new Map<string, Round[]>()
  const cases = models.flatMap((model) => waysOf(model.packed).map((way) => ({ model, way })))
  for (let round = 0; round < bench.effort.coldRounds; round++) {
    bench.progress(`cold start, round ${round + 1} of ${bench.effort.coldRounds}`)
    for (const { model, way } of cases) {
      const key = `${model.name} ${way}`
      const result = way === 'plain' ? await coldPlain(bench, model) : await coldVerge(bench, way, model)
      rounds.set(key, [...(rounds.get(key) ?? []), result])
    }
  }
  return cases.map(({ model, way }) => row(model.name, way, rounds.get(`${model.name} ${way}`) ?? []))
}

/** Times steps one after the other. */
class Stopwatch {
  #last = performance.now()
  lap(): number {
    const now = performance.now()
    const elapsed = now - this.#last
    this.#last = now
    return elapsed
  }
}

interface ColdStart {
  readonly connection: Connection
  readonly watch: Stopwatch
  /** CPU time of the process so far, less what starting the engine took. */
  readonly cpuBefore: number
  readonly worker: WorkerProcess
  /** What it took until the engine was there. */
  readonly started: Pick<Round, 'process' | 'isolate' | 'engine' | 'emptyHeapBytes' | 'isolateCpu'>
}

/** Starts a process, an isolate and its engine, one after the other. @param enginePath starts the engine when it is asked for */
async function coldStart(
  directory: string,
  way: ColdRow['way'],
  enginePath: string,
  measure: (start: ColdStart) => Promise<Round>,
): Promise<Round> {
  const watch = new Stopwatch()
  const worker = await startWorker(directory, { vars: varsOf(way) })
  const process = watch.lap()
  try {
    return await connected(worker, async (connection) => {
      const cpuAtStart = fineCpuMs(worker.pid)
      watch.lap()
      await ask(connection, requestBytes({ path: '/' }))
      const isolate = watch.lap()
      const cpuAtIsolate = fineCpuMs(worker.pid)
      watch.lap()
      await ask(connection, requestBytes({ path: enginePath }))
      const engine = watch.lap()
      const engineCpu = fineCpuMs(worker.pid) - cpuAtIsolate
      const emptyHeapBytes = await wasmHeapBytes(connection, way)
      const isolateCpu = cpuAtIsolate - cpuAtStart
      const cpuBefore = fineCpuMs(worker.pid) - engineCpu
      watch.lap()
      return measure({
        connection,
        watch,
        worker,
        cpuBefore,
        started: { process, isolate, engine, emptyHeapBytes, isolateCpu },
      })
    })
  } finally {
    await worker.stop()
  }
}

function coldVerge(bench: Bench, way: 'verge' | 'onnxruntime', { name, sizes }: Subject): Promise<Round> {
  const request = binaryRequest(name, sizes[0]?.inputs ?? [])
  return coldStart(
    bench.bundles.timed,
    way,
    '/v2/health/ready',
    async ({ connection, cpuBefore, started, watch, worker }) => {
      const answer = await ask(connection, request)
      const whole = watch.lap()
      const answerCpu = fineCpuMs(worker.pid) - cpuBefore
      const load = timingsOf(answer).load ?? 0
      const seen = reads.parse(
        JSON.parse((await ask(connection, requestBytes({ path: '/bench/reads' }))).body.toString()),
      )
      return {
        ...started,
        answerCpu,
        fetch: seen.milliseconds,
        session: load - seen.milliseconds,
        fetchAndSession: load,
        // All that is not the load: finding the model, reading the body, the run and the answer.
        firstRun: whole - load,
        total: started.isolate + started.engine + whole,
        bytesFetched: Object.values(seen.bytes).reduce((sum, bytes) => sum + bytes, 0),
        heapBytes: await wasmHeapBytes(connection, way),
        residentBytes: worker.residentBytes(),
      }
    },
  )
}

function coldPlain(bench: Bench, { name, sizes }: Subject): Promise<Round> {
  const request = plainRequest(name, sizes[0]?.inputs ?? [])
  return coldStart(
    bench.bundles.plain,
    'plain',
    '/start',
    async ({ connection, cpuBefore, started, watch, worker }) => {
      await ask(connection, requestBytes({ path: `/load?model=${name}` }))
      const fetchAndSession = watch.lap()
      await ask(connection, request)
      const firstRun = watch.lap()
      const answerCpu = fineCpuMs(worker.pid) - cpuBefore
      return {
        ...started,
        answerCpu,
        fetch: Number.NaN,
        session: Number.NaN,
        fetchAndSession,
        firstRun,
        total: started.isolate + started.engine + fetchAndSession + firstRun,
        bytesFetched: Number.NaN,
        heapBytes: await wasmHeapBytes(connection, 'plain'),
        residentBytes: worker.residentBytes(),
      }
    },
  )
}

function row(model: string, way: ColdRow['way'], rounds: readonly Round[]): ColdRow {
  const values = (part: keyof Round): number[] => rounds.map((round) => round[part])
  const of = (part: Part): Summary => summarise(values(part))
  const apart = way !== 'plain'
  return {
    model,
    way,
    process: of('process'),
    isolate: of('isolate'),
    engine: of('engine'),
    fetch: apart ? of('fetch') : null,
    session: apart ? of('session') : null,
    fetchAndSession: of('fetchAndSession'),
    firstRun: of('firstRun'),
    total: of('total'),
    isolateCpu: of('isolateCpu'),
    answerCpu: of('answerCpu'),
    bytesFetched: apart ? median(values('bytesFetched')) : null,
    emptyHeapBytes: median(values('emptyHeapBytes')),
    heapBytes: median(values('heapBytes')),
    residentBytes: median(values('residentBytes')),
  }
}
