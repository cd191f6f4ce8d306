import type { Clock } from '../../src/core/runtime.ts'
import { type Tensors, tensor } from '../../src/core/tensors.ts'
import type { Session } from '../../src/engine/engine.ts'
import { never } from '../../synthetic/source.ts'
import { summarise } from '../lib/stats.ts'
import { distance, judged } from './compare.ts'
import type { Row } from './result.ts'
import { type Subject, tokenAt } from './subjects.ts'

const PROMPT_TOKENS = 128
const WRITTEN_TOKENS = 48
const PREFILL_TOKENS = 256
const CHOSEN = 'chosen'
const LOGITS = 'logits'

/**
 * A text of 48 tokens after a prompt of 128, with the cache of keys and values on the provider. Another provider is led
 * through the processor's own tokens, and its logits are compared at every step: with made-up weights two tokens are
 * often nearly as likely, and texts that part at such a place would say nothing of what follows.
 */
export async function checkGeneration(
  session: Session,
  { name, tolerance }: Pick<Subject, 'name' | 'tolerance'>,
  known: ReadonlyMap<string, Row>,
  { clock }: { readonly clock: Clock },
): Promise<Row[]> {
  const promptRow = `${name}, prompt of ${PROMPT_TOKENS} tokens`
  const writtenRow = `${name}, ${WRITTEN_TOKENS} tokens one by one`
  const expected = known.get(writtenRow)?.answer
  const led = expected?.get(CHOSEN)?.data as Float32Array | undefined
  // The first time warms up.
  await write(session, led, clock)
  const { chosen, logits, times } = await write(session, led, clock)
  const [first = Number.NaN, ...rest] = times
  const answer: Tensors = new Map([
    [CHOSEN, tensor('FP32', [chosen.length], Float32Array.from(chosen))],
    [LOGITS, tensor('FP32', [logits.length, logits[0]?.length ?? 0], joined(logits))],
  ])
  const apart = expected && distance(new Map([...expected].filter(([output]) => output === LOGITS)), answer)
  const each = summarise(rest)
  return [
    { what: promptRow, time: summarise([first]), perSecond: (1000 * PROMPT_TOKENS) / first },
    { what: writtenRow, time: each, perSecond: 1000 / each.p50, answer, ...judged(apart, tolerance) },
  ]
}

/** @param led tokens to choose; the most likely ones if left out @returns milliseconds of each step, the prompt's first */
async function write(session: Session, led: Float32Array | undefined, clock: Clock) {
  const chosen: number[] = []
  const logits: Float32Array[] = []
  const times: number[] = []
  let at = clock.now()
  const tokens = session.generate?.(
    Array.from({ length: PROMPT_TOKENS }, (_, position) => tokenAt(1, position)),
    {
      stopTokens: new Set<number>(),
      prefillTokens: PREFILL_TOKENS,
      maxNewTokens: WRITTEN_TOKENS,
      choose(found) {
        logits.push(found.slice())
        const token = led?.[chosen.length] ?? largest(found)
        chosen.push(token)
        return token
      },
      signal: never(),
    },
  )
  for await (const _ of tokens ?? []) {
    const now = clock.now()
    times.push(now - at)
    at = now
  }
  if (times.length !== WRITTEN_TOKENS) throw new Error(`${times.length} of ${WRITTEN_TOKENS} tokens were written`)
  return { chosen, logits, times }
}

function joined(rows: readonly Float32Array[]): Float32Array<ArrayBuffer> {
  const width = rows[0]?.length ?? 0
  const data = new Float32Array(rows.length * width)
  for (const [row, values] of rows.entries()) data.set(values, row * width)
  return data
}

function largest(logits: Float32Array): number {
  let best = 0
  for (let at = 1; at < logits.length; at++) if ((logits[at] ?? 0) > (logits[best] ?? 0)) best = at
  return best
}
