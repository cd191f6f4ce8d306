import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ROOT } from '../../src/cli/files/project.ts'
import { median } from '../../src/cli/statistics.ts'
import { requestBytes } from '../lib/connection.ts'
import { type LoadResult, load } from '../lib/load.ts'
import { binaryRequest } from '../lib/oip.ts'
import { varsOf } from '../lib/ways.ts'
import { ask, connected } from '../lib/worker-client.ts'
import { startWorker, type WorkerProcess } from '../lib/worker-process.ts'
import { tokens } from '../models/subjects.ts'
import type { Bench } from './context.ts'

type ThroughputWay = 'verge' | 'onnxruntime'
const THROUGHPUT_WAYS: readonly ThroughputWay[] = ['verge', 'onnxruntime']

export interface ThroughputRow {
  readonly model: string
  readonly way: ThroughputWay
  readonly request: string
  readonly callers: number
  readonly load: LoadResult
}

const REVIEW =
  'The story takes its time, and the two leads carry every scene; a film that I will gladly see a second time.'
const ENCODER_TOKENS = 32

/** Answers a second and the tail of latency, by callers at once, as people would ask: a picture, a text, token ids. */
export async function measureThroughput(bench: Bench): Promise<ThroughputRow[]> {
  const { callers, loadRounds, loadSeconds } = bench.effort
  const png = await readFile(join(ROOT, 'models/digits/samples/five.png'))
  const all = [
    {
      model: 'digits',
      what: 'PNG of a digit to /run',
      request: requestBytes({
        method: 'POST',
        path: '/run/digits',
        headers: { 'content-type': 'image/png' },
        body: png,
      }),
    },
    {
      model: 'reviews',
      what: `text of ${REVIEW.split(' ').length} words to /run`,
      request: requestBytes({
        method: 'POST',
        path: '/run/reviews',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ inputs: REVIEW }),
      }),
    },
    {
      model: 'encoder-int8',
      what: `${ENCODER_TOKENS} tokens, binary`,
      request: binaryRequest('encoder-int8', tokens(ENCODER_TOKENS)),
    },
  ]
  const cases = all.filter(({ model }) => bench.subjects.some(({ name }) => name === model))
  const workers = new Map<ThroughputWay, WorkerProcess>()
  try {
    for (const way of THROUGHPUT_WAYS) workers.set(way, await startWorker(bench.bundles.verge, { vars: varsOf(way) }))
    const results = new Map<string, LoadResult[]>()
    for (const { request } of cases) {
      for (const worker of workers.values()) await warmUp(worker, request)
    }
    for (let round = 0; round < loadRounds; round++) {
      for (const count of callers) {
        bench.progress(`throughput with ${count} callers, round ${round + 1} of ${loadRounds}`)
        for (const { model, request } of cases) {
          for (const [way, worker] of workers) {
            const key = `${model} ${way} ${count}`
            const result = await load({ worker, request, callers: count, seconds: loadSeconds })
            results.set(key, [...(results.get(key) ?? []), result])
          }
        }
      }
    }
    return cases.flatMap(({ model, what }) =>
      THROUGHPUT_WAYS.flatMap((way) =>
        callers.map((count) => ({
          model,
          way,
          request: what,
          callers: count,
          load: middle(results.get(`${model} ${way} ${count}`) ?? []),
        })),
      ),
    )
  } finally {
    for (const worker of workers.values()) await worker.stop()
  }
}

const WARM_UP_RUNS = 40

async function warmUp(worker: WorkerProcess, request: Buffer): Promise<void> {
  await connected(worker, async (connection) => {
    for (let run = 0; run < WARM_UP_RUNS; run++) await ask(connection, request)
  })
}

/** Figure by figure the median of several rounds. @param rounds at least one */
export function middle(rounds: readonly LoadResult[]): LoadResult {
  const of = (figure: keyof LoadResult): number => median(rounds.map((round) => round[figure]))
  return {
    perSecond: of('perSecond'),
    answered: of('answered'),
    refused: of('refused'),
    failed: of('failed'),
    p50: of('p50'),
    p95: of('p95'),
    p99: of('p99'),
    cpuMsEach: of('cpuMsEach'),
    clientBusy: of('clientBusy'),
  }
}
