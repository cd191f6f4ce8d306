import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { ROOT } from '../files/project.ts'
import { UsageError } from '../terminal/command-line.ts'
import type { Figures } from './prices.ts'

const summary = z.object({ p50: z.number().nonnegative() })

/** The used fields of a benchmark result (`bench/lib/result.ts`), which has more. */
const benchResult = z.object({
  schema: z.literal(1),
  date: z.string(),
  machine: z.object({ cpu: z.string(), cores: z.number(), workerd: z.string() }),
  fit: z.array(z.object({ model: z.string(), edgeBytes: z.number().nullable() })).default([]),
  cold: z.array(z.object({ model: z.string(), way: z.string(), total: summary })).default([]),
  /** Absent in runs before 2026-12. */
  firstRequests: z.object({ models: z.array(z.object({ model: z.string(), isolate: summary })) }).optional(),
  warm: z.array(z.object({ model: z.string(), size: z.string(), engine: z.string(), time: summary })).default([]),
})

type BenchResult = z.infer<typeof benchResult>

/** Where several sizes were measured. */
const USUAL_SIZE = '128 tokens'
const VERGE = 'verge'

const WARM_METHOD =
  'Times of the benchmark (bench/README.md) on an idle machine. Warm: the median of the latency with one caller, measured from outside. A run ' +
  'keeps one core busy from start to end, so this approximates CPU time; it includes the network round trip. '
const COLD_METHODS = {
  cpu:
    "Cold: the median of the CPU time of the isolate's thread for the first request of a fresh isolate, the model in KV. The start-up " +
    'of the isolate is not in it, because the platform documents a limit of its own for that (1 s) and bills requests. Other ' +
    "processors, another V8 and the platform's own work for a request can only be measured there (docs/cost.md, The limit of 10 ms).",
  latency:
    'Cold: the median from starting an empty isolate to the first answer, measured from outside; the start-up of the isolate ' +
    'and waiting are in it.',
}

/** Whether a file is a run of the benchmark, and not figures written for this. */
export function isBenchResult(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'schema' in value
}

/** Models with a cold and a warm time. @throws UsageError if there is none */
export async function readBenchFigures(file: string): Promise<Figures> {
  const parsed = benchResult.safeParse(JSON.parse(await readFile(file, 'utf8')))
  if (!parsed.success) {
    throw new UsageError(
      `${file} is not a result of this version of the benchmark. Run it again: npm run bench -- --write`,
    )
  }
  const models = figuresOf(parsed.data)
  if (models.length === 0)
    throw new UsageError(`${file} has no model with a cold and a warm time. Run the whole benchmark.`)
  const { date, machine } = parsed.data
  return {
    measured: date.slice(0, 10),
    machine: `${machine.cores} cores of ${machine.cpu}, workerd ${machine.workerd}`,
    method: WARM_METHOD + COLD_METHODS[parsed.data.firstRequests === undefined ? 'latency' : 'cpu'],
    models,
  }
}

function figuresOf({ fit, cold, firstRequests, warm }: BenchResult): Figures['models'] {
  return fit.flatMap(({ model, edgeBytes }) => {
    const first = cold.find((row) => row.model === model && row.way === VERGE)
    const rows = warm.filter((row) => row.model === model && row.engine === VERGE)
    const row = rows.find(({ size }) => size === USUAL_SIZE) ?? rows.at(-1)
    if (edgeBytes === null || first === undefined || row === undefined) return []
    const own = existsSync(join(ROOT, 'models', model, 'verge.json'))
    return [
      {
        name: `${model}, ${row.size}`,
        ...(own ? { folder: model } : { artifactBytes: edgeBytes }),
        coldCpuMs: firstRequests?.models.find((each) => each.model === model)?.isolate.p50 ?? first.total.p50,
        warmCpuMs: row.time.p50,
      },
    ]
  })
}
