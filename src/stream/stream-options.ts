import type { Caller } from '../access/authorize.ts'
import type { RequestFacts } from '../inference/metered.ts'
import type { SpeechParameters } from '../tasks/sounds/speech-parameters.ts'

/** The trace that a stream was opened in. */
export interface StreamTrace {
  /** `traceparent`: of the opening where that is recorded, or else as its caller sent it. */
  readonly parent?: string
  /** Its caller may ask for traces, and has sent one. */
  readonly trusted: boolean
}

/** Settings of a stream, authorized before it opens. Plain data: it survives hibernation. */
export interface StreamOptions {
  readonly model: string
  readonly version: string
  readonly caller: Caller
  /** What limits go by beside the caller. Absent where nothing is limited. */
  readonly facts?: RequestFacts
  readonly requestId: string
  /** Absent where no traces are recorded. */
  readonly trace?: StreamTrace
  /** Samples a second, and samples of a window. */
  readonly sampleRate: number
  readonly windowLength: number
  /** Where speech begins and ends, by the request. */
  readonly speech: SpeechParameters
  /** Whether each window's probability is sent, or segments alone. */
  readonly probabilities: boolean
}

/** Where streams live. */
export interface StreamHost {
  /** @returns the client's end of a WebSocket, as the answer 101 that holds it */
  open(options: StreamOptions): Promise<Response>
}
