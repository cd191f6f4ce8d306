import type { StreamErrorMessage } from './refusal.ts'

/** Messages of the server in a stream, each a JSON text message. Times are in seconds from the first sample. */
export type StreamMessage =
  | {
      readonly type: 'ready'
      readonly model: string
      readonly version: string
      /** Samples a second that the client has to send. */
      readonly sample_rate: number
      /** Seconds that one probability is about. */
      readonly window: number
    }
  | { readonly type: 'probability'; readonly start: number; readonly probability: number }
  | { readonly type: 'segment'; readonly start: number; readonly end: number; readonly score: number }
  /** All that was sent has been heard. */
  | { readonly type: 'end'; readonly duration: number }
  | ({ readonly type: 'error' } & StreamErrorMessage)
