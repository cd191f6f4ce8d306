import { setTimeout as sleep } from 'node:timers/promises'
import { UsageError } from '../terminal/command-line.ts'
import type { HeldOutSample } from './held-out.ts'

export interface Measurement {
  readonly right: number
  readonly count: number
  /** Milliseconds from sending a request to having its answer, of those that were answered at once. */
  readonly latencies: readonly number[]
  /** How often the answer was 429 and the request was sent again. */
  readonly refusals: number
}

export interface AccuracyOptions {
  /** Requests on the way at once. */
  readonly concurrency: number
  readonly headers?: Readonly<Record<string, string>>
}

/** A server that refuses the same request more often than this is not busy but broken. */
const MOST_REFUSALS = 20

/**
 * Asks a model about each sample and counts how often its best label is the right one. An answer of 429 is waited out
 * for as long as it says.
 * @throws UsageError if a sample is answered with a failure
 */
export async function measureAccuracy(
  url: string,
  samples: readonly HeldOutSample[],
  options: AccuracyOptions,
): Promise<Measurement> {
  const queue = samples.values()
  const latencies: number[] = []
  let right = 0
  let refusals = 0
  const worker = async (): Promise<void> => {
    for (const sample of queue) {
      let refused = 0
      for (;;) {
        const begun = performance.now()
        const answer = await fetch(url, {
          method: 'POST',
          headers: { ...options.headers, 'content-type': sample.contentType },
          body: sample.body,
        })
        const text = await answer.text()
        if (answer.status === 429 && refused < MOST_REFUSALS) {
          refused++
          await sleep(Number(answer.headers.get('retry-after') ?? 1) * 1000)
          continue
        }
        if (!answer.ok) throw new UsageError(`${url} answered HTTP ${answer.status}: ${text}`)
        if (refused === 0) latencies.push(performance.now() - begun)
        refusals += refused
        const [best] = JSON.parse(text) as readonly { readonly label: string }[]
        if (best?.label === sample.label) right++
        break
      }
    }
  }
  await Promise.all(Array.from({ length: options.concurrency }, worker))
  return { right, count: samples.length, latencies, refusals }
}
