import { USAGE_HEADER } from '../core/headers.ts'
import type { RequestBounds, RunLedger } from '../serving/ledger.ts'

/** What an answer took, as far as whoever gave it says so. */
interface Usage {
  readonly units?: number
  readonly inputTokens?: number
  readonly outputTokens?: number
}

/** Numbers of RFC 9651 have at most 12 digits before the point and three behind it. */
function sfNumber(value: number): string {
  return String(Math.round(Math.min(value, 999_999_999_999) * 1000) / 1000)
}

/** Writes what a request took for the Worker that passed it on. */
export function writeUsage({ inputTokens, outputTokens, units }: RunLedger): string {
  return `units=${sfNumber(units)}, input-tokens=${inputTokens}, output-tokens=${outputTokens}`
}

/** A comment in a stream of events, whose headers come before anybody knows what it takes. Clients ignore comments. */
export function usageComment(ledger: RunLedger): string {
  return `: ${USAGE_HEADER} ${writeUsage(ledger)}\n\n`
}

const MEMBER = /(?:^|[,\s])(units|input-tokens|output-tokens)=(\d{1,12}(?:\.\d{1,3})?)(?=$|[,\s])/g

/** Reads what `writeUsage` wrote; undefined where it is none of that. */
export function readUsage(text: string | null): Usage | undefined {
  const members = new Map([...(text ?? '').matchAll(MEMBER)].map(([, name, value]) => [name, Number(value)]))
  if (members.size === 0) return undefined
  return {
    units: members.get('units') ?? 0,
    inputTokens: members.get('input-tokens') ?? 0,
    outputTokens: members.get('output-tokens') ?? 0,
  }
}

/** An origin's work for one request. */
export interface OriginWork {
  readonly ms: number
  readonly units: number
  /** The origin's price, where `ORIGINS` has one. */
  readonly usdPerHour: number | undefined
}

const HOUR_MS = 3_600_000

/** Books an origin's time. Its units were booked with those of all runs. */
export function bookWork(ledger: RunLedger, { ms, units, usdPerHour = 0 }: OriginWork): void {
  const time = Math.max(0, ms)
  ledger.originUnits += units
  ledger.originMs += time
  ledger.originUsd += (time / HOUR_MS) * usdPerHour
}

/** Books what an origin took, as far as it says, and its time. */
export function bookUsage(ledger: RunLedger, usage: Usage | undefined, work: Omit<OriginWork, 'units'>): void {
  const { inputTokens = 0, outputTokens = 0, units = 0 } = usage ?? {}
  ledger.units += units
  ledger.inputTokens += inputTokens
  ledger.outputTokens += outputTokens
  bookWork(ledger, { ...work, units })
}

/** Of the end of an answer: OpenAI's counts, and the comment above. */
const TAIL_LENGTH = 4_096
const COMMENT = new RegExp(`^: ${USAGE_HEADER} (.{1,200})$`, 'm')

/**
 * Reads on the way through what an answer in OpenAI's words says of its tokens. A text in JSON has its quotes escaped, so
 * that no text can pose as a count.
 */
export class UsageReader {
  readonly #decoder = new TextDecoder()
  #tail = ''
  #events = 0

  push(bytes: Uint8Array): void {
    const text = this.#decoder.decode(bytes, { stream: true })
    for (let at = text.indexOf('data:'); at !== -1; at = text.indexOf('data:', at + 5)) this.#events++
    this.#tail = (this.#tail + text).slice(-TAIL_LENGTH)
  }

  /** Where a stream has no counts, its events are taken for tokens. Undefined for what says nothing of tokens. */
  usage(streamed: boolean): Usage | undefined {
    const comment = COMMENT.exec(this.#tail)?.[1]
    if (comment !== undefined) return readUsage(comment)
    const inputTokens = lastNumber(this.#tail, 'prompt_tokens')
    const outputTokens = lastNumber(this.#tail, 'completion_tokens')
    if (inputTokens !== undefined) return { inputTokens, outputTokens: outputTokens ?? 0 }
    return streamed ? { outputTokens: Math.max(0, this.#events - 1) } : undefined
  }
}

function lastNumber(text: string, name: string): number | undefined {
  const found = [...text.matchAll(new RegExp(`"${name}":\\s*(\\d{1,12})`, 'g'))].at(-1)?.[1]
  return found === undefined ? undefined : Number(found)
}

/** The same bytes, read on the way. @param ended is called once, whichever way they end */
export function watched(
  body: ReadableStream<Uint8Array>,
  reader: Pick<UsageReader, 'push'>,
  ended: () => void,
): ReadableStream<Uint8Array> {
  const from = body.getReader()
  let open = true
  const end = (): void => {
    if (open) ended()
    open = false
  }
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await from.read()
          if (done) {
            end()
            controller.close()
            return
          }
          reader.push(value)
          controller.enqueue(value)
        } catch (error) {
          end()
          controller.error(error)
        }
      },
      async cancel(reason) {
        end()
        await from.cancel(reason)
      },
    },
    { highWaterMark: 0 },
  )
}

/** A request's bounds for an origin of Verge's own; undefined where there are none. */
export function writeBounds({ batch, maxTokens, smallest }: RequestBounds): string | undefined {
  const members = [
    ...(batch === undefined ? [] : [`batch=${batch}`]),
    ...(maxTokens === undefined ? [] : [`max-tokens=${maxTokens}`]),
    ...(smallest === true ? ['smallest'] : []),
  ]
  return members.length === 0 ? undefined : members.join(', ')
}

/** Reads what `writeBounds` wrote. What is not understood bounds nothing. */
export function readBounds(header: string): RequestBounds {
  const members = new Map(
    header.split(',').map((member) => {
      const [name = '', value] = member.trim().split('=', 2)
      return [name, value !== undefined && /^\d{1,12}$/.test(value) ? Number(value) : undefined]
    }),
  )
  return {
    batch: members.get('batch'),
    maxTokens: members.get('max-tokens'),
    smallest: members.has('smallest'),
  }
}
