import { VergeError } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import { CLOSE, StreamRefusal } from './refusal.ts'

/** The remaining allowance of a stream: a token bucket in bytes. Plain data. */
export interface Allowance {
  readonly bytes: number
  /** When it was counted, by the isolate's clock. */
  readonly at: number
  /** All that was sent. */
  readonly received: number
}

type Bounds = Pick<Limits, 'streamMessageBytes' | 'streamBurstSeconds' | 'streamSpeed' | 'streamSeconds'>

/** A message counts as at least this many bytes, which prevents single-sample messages: ten milliseconds of 16 kHz. */
const LEAST_BYTES = 320

const BYTES_PER_SAMPLE = 2

/**
 * Number of bursts that can accumulate. Messages count on delivery, and none is delivered while a model loads: messages
 * that were sent on time then arrive together.
 */
const SAVED_BURSTS = 2

/** Bytes that may come at once after a while of silence, and so the most that may wait to be heard. */
export function mostBytes(sampleRate: number, { streamBurstSeconds }: Bounds): number {
  return SAVED_BURSTS * streamBurstSeconds * sampleRate * BYTES_PER_SAMPLE
}

export function fullAllowance(sampleRate: number, { streamBurstSeconds }: Bounds, now: number): Allowance {
  return { bytes: streamBurstSeconds * sampleRate * BYTES_PER_SAMPLE, at: now, received: 0 }
}

/**
 * Takes a message from a stream's allowance.
 * @throws StreamRefusal if the message ends inside a sample, or exceeds the burst, the current allowance or the total
 */
export function spend(
  { bytes, at, received }: Allowance,
  message: number,
  sampleRate: number,
  limits: Bounds,
  now: number,
): Allowance {
  const perSecond = sampleRate * BYTES_PER_SAMPLE
  if (message > limits.streamMessageBytes) {
    throw new StreamRefusal(
      CLOSE.tooLarge,
      new VergeError('input_too_large', `A message may have at most ${limits.streamMessageBytes} bytes.`),
    )
  }
  if (message % BYTES_PER_SAMPLE !== 0) {
    throw new StreamRefusal(
      CLOSE.invalid,
      new VergeError('invalid_request', `A message of ${message} bytes ends inside a sample. Send 16-bit PCM.`),
    )
  }
  if (received + message > limits.streamSeconds * perSecond) {
    throw new StreamRefusal(
      CLOSE.policy,
      new VergeError('input_too_large', `A stream may last ${limits.streamSeconds} seconds. Open a new stream.`),
    )
  }
  // The clock of another isolate, after hibernation, may be behind.
  const refilled = bytes + (Math.max(0, now - at) / 1000) * perSecond * limits.streamSpeed
  const left = Math.min(mostBytes(sampleRate, limits), refilled) - Math.max(message, LEAST_BYTES)
  if (left < 0) {
    throw new StreamRefusal(
      CLOSE.policy,
      new VergeError(
        'overloaded',
        `The audio arrives too fast. Send at most ${limits.streamSpeed} times real time, in messages of at least 10 ms.`,
      ),
    )
  }
  return { bytes: left, at: now, received: received + message }
}
