import type { ErrorCode } from '../core/errors.ts'

/** What one inference did, told once, when its answer has ended or has failed. */
export interface RequestObservation {
  /** Of the catalogue; `''` where the request was refused before its model was known. */
  readonly model: string
  /** `''` where it was refused before one was chosen. */
  readonly version: string
  /** Of the alias that the version is from; absent where none was chosen. */
  readonly generation?: number
  /** Where it ran last, or failed to; `none`: it was refused before it ran anywhere. */
  readonly place: 'edge' | 'origin' | 'none'
  /** The origin's name, where one answered. */
  readonly origin?: string
  /** By which way it came: a word of the code's, never of the request's. */
  readonly via: string
  readonly code: 'ok' | ErrorCode
  /** Part of a request that was told of when it began: a message of a stream. */
  readonly continued?: boolean
  /** Its caller named the version. */
  readonly named?: true
  /** How long it took was also up to its caller. */
  readonly paced?: true
  /** It failed by its caller's pace, or by a store that did not answer: whichever version had failed so. */
  readonly excused?: true
  readonly start?: 'warm' | 'cold' | 'cached'
  /** What was charged, in a manifest's units, at origins too. */
  readonly units: number
  /** Of these, those that origins spent. */
  readonly originUnits: number
  readonly inputTokens: number
  readonly outputTokens: number
  readonly cache?: 'hit' | 'miss' | 'bypass'
  /** Milliseconds by the isolate's clock; absent where it cannot know. */
  readonly loadMs?: number
  readonly queueMs?: number
  readonly runMs?: number
  readonly originMs?: number
  /** Until an origin began to answer, where its answer was passed on: what the answer's reader cannot delay. */
  readonly originFirstMs?: number
  readonly totalMs?: number
}

/** Is told of inferences. Whoever tells it does not wait, and what it throws reaches no request. */
export interface RequestObserver {
  /** @param waitUntil keeps work alive behind the answer */
  observed(observation: RequestObservation, waitUntil: (work: Promise<unknown>) => void): void
}
