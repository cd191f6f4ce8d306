import { performance } from 'node:perf_hooks'
import { type RequestParts, requestBytes } from '../lib/connection.ts'
import { type Arrival, EventConnection } from '../lib/event-connection.ts'
import type { Rig } from '../lib/origin-rig.ts'
import { signedRequest } from '../lib/signing.ts'
import { STREAMED_EVENTS, type StandIn } from '../lib/stand-in.ts'
import { type Summary, summarise } from '../lib/stats.ts'

/** From an event's being sent to its being here, in milliseconds. */
export interface EventDelays {
  readonly first: Summary
  readonly later: Summary
}

export interface StreamFigures {
  /** Events of a stand-in that are read from it, and through the Worker, which renames the model in each. */
  readonly direct: EventDelays
  readonly through: EventDelays
  /** From a request to the first token of a real answer, of the origin itself and through the Worker. */
  readonly firstTokenDirect: Summary
  readonly firstTokenThrough: Summary
}

/** Our name of what the stand-in tells. */
export const TALKER = 'talker'
export const LANGUAGE_MODEL = 'abacus'
const WARM_UP_RUNS = 10
const PROMPT = '27 plus 58 is'

/** How long tokens are on their way. Ways take turns. */
export async function measureStreams(rig: Rig, standIn: StandIn, rounds: number): Promise<StreamFigures> {
  const straight = await EventConnection.open(standIn.url)
  const through = await EventConnection.open(rig.worker.url)
  const origin = await EventConnection.open(rig.origin.url)
  try {
    const delays = { direct: [] as number[][], through: [] as number[][] }
    const firsts = { direct: [] as number[], through: [] as number[] }
    const real = completion(LANGUAGE_MODEL)
    for (let round = -WARM_UP_RUNS; round < rounds; round++) {
      const told = {
        direct: delaysOf(await straight.exchange(requestBytes(completion(standIn.models.told)))),
        through: delaysOf(await through.exchange(requestBytes(completion(TALKER)))),
      }
      const tokens = {
        direct: await firstToken(origin, await signedRequest(rig.key, real)),
        through: await firstToken(through, requestBytes(real)),
      }
      if (round < 0) continue
      for (const way of ['direct', 'through'] as const) {
        delays[way].push(told[way])
        firsts[way].push(tokens[way])
      }
    }
    return {
      direct: summary(delays.direct),
      through: summary(delays.through),
      firstTokenDirect: summarise(firsts.direct),
      firstTokenThrough: summarise(firsts.through),
    }
  } finally {
    for (const connection of [straight, through, origin]) connection.close()
  }
}

function summary(delays: readonly (readonly number[])[]): EventDelays {
  return {
    first: summarise(delays.map(([first = Number.NaN]) => first)),
    later: summarise(delays.flatMap((each) => each.slice(1))),
  }
}

/** Of each event of a stand-in, which holds when it was sent. @throws Error unless all have come */
function delaysOf(arrivals: readonly Arrival[]): number[] {
  const delays: number[] = []
  // An event may come in two parts: it is here with the second.
  let open = ''
  for (const { at, text } of arrivals) {
    open += text
    let used = 0
    for (const { 1: sent, 0: whole, index } of open.matchAll(/"text":"([\d.]+)"[^\n]*\n\n/g)) {
      delays.push(at - Number(sent))
      used = index + whole.length
    }
    open = open.slice(used)
  }
  if (delays.length !== STREAMED_EVENTS) throw new Error(`${delays.length} events came of ${STREAMED_EVENTS}`)
  return delays
}

async function firstToken(connection: EventConnection, request: Buffer): Promise<number> {
  const begun = performance.now()
  const arrivals = await connection.exchange(request)
  const found = arrivals.find(({ text }) => /"text":"[^"]/.test(text))
  if (found === undefined) throw new Error('no token came')
  return found.at - begun
}

function completion(model: string): RequestParts {
  const body = JSON.stringify({ model, prompt: PROMPT, stream: true, max_tokens: 16, temperature: 0 })
  return { method: 'POST', path: '/v1/completions', headers: { 'content-type': 'application/json' }, body }
}
