import type { LargestRow } from '../measures/largest.ts'
import type { EngineName } from '../measures/warm.ts'
import type { Figure } from './figures.ts'
import type { BenchResult } from './result.ts'

/** A bound that counts, and one to strive for. */
interface Bounds {
  readonly gate: number
  readonly aim: number
}

interface RunFigure extends Bounds {
  readonly model: string
  readonly by?: string
  readonly size: string
}

const ENCODER = 'encoder-int8'
const NETWORK = 'cnn-fp32'
/** Of a run, by that of the better way on ONNX Runtime in a Worker, which runs another file where `by` names one. */
const RUNS: readonly RunFigure[] = [
  { model: ENCODER, size: '16 tokens', gate: 0.45, aim: 0.28 },
  { model: ENCODER, size: '128 tokens', gate: 0.5, aim: 0.3 },
  { model: ENCODER, size: '512 tokens', gate: 0.5, aim: 0.28 },
  { model: NETWORK, size: '224 x 224', gate: 0.6, aim: 0.42 },
  { model: 'cnn-int8', by: NETWORK, size: '224 x 224', gate: 0.35, aim: 0.15 },
]
/** Where the processor has an instruction for 8-bit dots, which ONNX Runtime's WebAssembly makes no use of. */
const FAST_DOTS = { instruction: 'avx_vnni', model: ENCODER, size: '128 tokens', gate: 0.4 } as const
const FIRST_ANSWER = { size: '16 tokens', gate: 4, aim: 2 } as const
const MEMORY = { size: '128 tokens', gate: 1.25, aim: 1.15 } as const
const COLD_CPU = { models: ['digits', 'reviews'], gate: 10, aim: 5 } as const

const LARGEST = { gate: 56, aim: 64 } as const
/** An isolate's, and what is left of it for code, pictures and requests in work. */
const ISOLATE_BYTES = 128e6
const RESERVED_BYTES = 24e6

const MB = 1e6

/** Figures of Verge's own engine, those whose parts were measured in this run. */
export function engineFigures(result: BenchResult): Figure[] {
  return [...runFigures(result), ...firstAnswer(result), ...memory(result), ...largest(result), ...coldCpu(result)]
}

function runFigures(result: BenchResult): Figure[] {
  return RUNS.flatMap(({ aim, gate, model, size, by = model }) => {
    const own = inside(result, model, size, 'verge')
    const others = (['onnxruntime', 'plain'] as const).flatMap((engine) => inside(result, by, size, engine) ?? [])
    if (own === undefined || others.length === 0) return []
    const best = Math.min(...others)
    const fast =
      model === FAST_DOTS.model &&
      size === FAST_DOTS.size &&
      result.machine.instructions.includes(FAST_DOTS.instruction)
    return [
      ratio(
        `${model}, ${size}: run inside the isolate, by the better one of ONNX Runtime in workerd${by === model ? '' : ` on ${by}`}`,
        { gate: fast ? FAST_DOTS.gate : gate, aim },
        own / best,
        `${own.toFixed(2)} of ${best.toFixed(2)} ms`,
      ),
    ]
  })
}

function warm({ warm }: BenchResult, model: string, size: string, engine: EngineName) {
  return warm?.find((row) => row.model === model && row.size === size && row.engine === engine)
}

function inside(result: BenchResult, model: string, size: string, engine: EngineName): number | undefined {
  return warm(result, model, size, engine)?.insideMs ?? undefined
}

function firstAnswer(result: BenchResult): Figure[] {
  const cold = ownCold(result, ENCODER)
  const later = warm(result, ENCODER, FIRST_ANSWER.size, 'verge')?.time.p50
  if (!cold?.session || later === undefined) return []
  const first = cold.session.p50 + cold.firstRun.p50
  return [
    ratio(
      `${ENCODER}, ${FIRST_ANSWER.size}: first answer once its bytes are there, by a warm one; over HTTP`,
      FIRST_ANSWER,
      first / later,
      `${first.toFixed(1)} of ${later.toFixed(2)} ms`,
    ),
  ]
}

function memory(result: BenchResult): Figure[] {
  const heapBytes = warm(result, ENCODER, MEMORY.size, 'verge')?.heapBytes
  const weights = result.fit?.find(({ model }) => model === ENCODER)?.edgeBytes
  if (heapBytes == null || weights == null) return []
  return [
    ratio(
      `${ENCODER}, ${MEMORY.size}: linear memory, by its artifact`,
      MEMORY,
      heapBytes / weights,
      `${(heapBytes / MB).toFixed(1)} of ${(weights / MB).toFixed(1)} MB`,
    ),
  ]
}

/** Linear memory and JavaScript's own, at their most. */
export function heldBytes({ heapBytes, linearBytes }: LargestRow): number {
  return Math.max(0, ...linearBytes) + heapBytes
}

function largest({ largest }: BenchResult): Figure[] {
  if (largest === undefined) return []
  const most = ISOLATE_BYTES - RESERVED_BYTES
  const [best] = largest.filter((row) => heldBytes(row) <= most).sort((a, b) => b.weightsBytes - a.weightsBytes)
  const weights = (best?.weightsBytes ?? 0) / MB
  return [
    {
      name: `largest encoder in an isolate: its weights, with all its memory within ${most / MB} MB`,
      target: `at least ${LARGEST.gate} MB; aim ${LARGEST.aim} MB`,
      value: best
        ? `${weights.toFixed(1)} MB (${best.model}, ${best.size}: ${(heldBytes(best) / MB).toFixed(1)} MB)`
        : 'none',
      reached: weights >= LARGEST.gate,
      aimReached: weights >= LARGEST.aim,
    },
  ]
}

function coldCpu(result: BenchResult): Figure[] {
  const { firstRequests } = result
  return COLD_CPU.models.flatMap((model) => {
    const row = firstRequests?.models.find((each) => each.model === model)
    if (firstRequests === undefined || row === undefined) return []
    const ms = (value: number): string => `${value.toFixed(1)} ms`
    const beside = [
      `V8's other threads ${ms(row.helpers.p50)}`,
      `reading KV alone ${ms(row.reads.p50)}`,
      `script and modules ${ms(firstRequests.startUp.isolate.p50)}`,
      ...[ownCold(result, model)].flatMap((cold) =>
        cold ? [`the whole process with local stores ${ms(cold.answerCpu.p50)}`] : [],
      ),
    ]
    return [
      {
        name: `${model}: CPU time of the isolate's thread for the first request of a fresh isolate`,
        target: `at most ${COLD_CPU.gate} ms; aim ${COLD_CPU.aim} ms`,
        value: `${ms(row.isolate.p50)} (beside it: ${beside.join(', ')})`,
        ...judge(COLD_CPU, row.isolate.p50),
      },
    ]
  })
}

function ownCold({ cold }: BenchResult, model: string) {
  return cold?.find((row) => row.model === model && row.way === 'verge')
}

function ratio(name: string, bounds: Bounds, value: number, parts: string): Figure {
  return {
    name,
    target: `at most ${bounds.gate}x; aim ${bounds.aim}x`,
    value: `${value.toFixed(2)}x (${parts})`,
    ...judge(bounds, value),
  }
}

function judge({ gate, aim }: Bounds, value: number): Pick<Figure, 'reached' | 'aimReached'> {
  return { reached: value <= gate, aimReached: value <= aim }
}
