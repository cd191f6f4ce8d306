import { LIMITS } from '../../src/core/limits.ts'
import { type Clock, type Logger, silentLogger } from '../../src/core/runtime.ts'
import { type Tensors, tensor } from '../../src/core/tensors.ts'
import { BatchingEngine } from '../../src/engine/batching/engine.ts'
import type { Engine } from '../../src/engine/engine.ts'
import { never } from '../../synthetic/source.ts'
import { summarise } from '../lib/stats.ts'
import { distance, judged } from './compare.ts'
import type { Row } from './result.ts'
import { type Subject, texts } from './subjects.ts'
import { withModel } from './with-model.ts'

const CALLERS = 32
const TOKENS = 16

interface Settings {
  readonly clock: Clock
  readonly rounds: number
  readonly measureMs: number
}

/**
 * 32 callers, each of whom asks again when it is answered, one by one and in batches. A batch proves itself before runs
 * are merged (`src/engine/batching/`), so a provider whose batches differ from its single runs serves one by one: that is
 * a fault here, because nobody would learn of it.
 */
export async function checkBatching(
  engine: Engine,
  subject: Pick<Subject, 'name' | 'bytes' | 'tolerance'>,
  known: ReadonlyMap<string, Row>,
  settings: Settings,
): Promise<Row[]> {
  const single = await measure(engine, subject, known, settings, 1)
  const batched = await measure(engine, subject, known, settings, LIMITS.batchRows)
  return [single, batched]
}

async function measure(
  engine: Engine,
  subject: Pick<Subject, 'name' | 'bytes' | 'tolerance'>,
  known: ReadonlyMap<string, Row>,
  { clock, measureMs, rounds }: Settings,
  maxBatch: number,
): Promise<Row> {
  let turns = 0
  let refusal: string | undefined
  const logger: Logger = {
    ...silentLogger,
    warn(event, { reason } = {}) {
      if (event.startsWith('batching_')) refusal = `${event}${reason === undefined ? '' : `: ${reason}`}`
    },
  }
  const batching = new BatchingEngine(engine, {
    clock,
    logger,
    maxBatch,
    maxWaitMs: LIMITS.batchWaitMs,
    maxQueue: LIMITS.batchQueue,
    maxElements: LIMITS.inputElements,
    onBatch: () => {
      turns++
    },
  })
  return withModel(batching, subject, async (session) => {
    const times: number[] = []
    const answers: Tensors[] = []
    const call = async (caller: number): Promise<void> => {
      const { inputs } = texts(1, TOKENS, caller)
      // The first round warms up, and has the batches prove themselves.
      for (let round = -1; round < rounds && (round < 1 || clock.now() < end); round++) {
        const at = clock.now()
        answers[caller] = await session.run(inputs, { signal: never() })
        if (round >= 0) times.push(clock.now() - at)
      }
    }
    const begun = clock.now()
    const end = begun + measureMs
    await Promise.all(Array.from({ length: CALLERS }, (_, caller) => call(caller)))
    const elapsed = clock.now() - begun
    const runsEach = (times.length + CALLERS) / turns
    const answer = together(answers)
    const way = maxBatch === 1 ? 'one by one' : `batches of up to ${maxBatch}`
    const what = `${subject.name}, ${CALLERS} callers, ${TOKENS} tokens, ${way}`
    const expected = known.get(what)?.answer
    const row = judged(expected && distance(expected, answer), subject.tolerance)
    const alone = `runs were not merged${refusal === undefined ? '' : `: ${refusal}`}`
    return {
      what,
      time: summarise(times),
      perSecond: (1000 * (times.length + CALLERS)) / elapsed,
      note: `${runsEach.toFixed(1)} runs a turn`,
      answer,
      ...row,
      ...(maxBatch > 1 &&
        runsEach < 2 && { fault: [row.fault, alone].filter((text) => text !== undefined).join('; ') }),
    }
  })
}

/** The answers of all callers as one, a row each. */
function together(answers: readonly Tensors[]): Tensors {
  const merged = new Map<string, ReturnType<typeof tensor>>()
  for (const [name, first] of answers[0] ?? []) {
    if (first.datatype !== 'FP32') continue
    const parts = answers.map((answer) => answer.get(name)?.data as Float32Array)
    const data = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0))
    let at = 0
    for (const part of parts) {
      data.set(part, at)
      at += part.length
    }
    merged.set(name, tensor('FP32', [answers.length, ...first.shape.slice(1)], data))
  }
  return merged
}
