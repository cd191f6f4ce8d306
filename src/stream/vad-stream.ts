import type { Manifest } from '../catalog/manifest.ts'
import type { AudioSettings, WindowSettings } from '../catalog/settings/audio.ts'
import { concatBytes } from '../core/bytes.ts'
import { VergeError } from '../core/errors.ts'
import type { Tensors } from '../core/tensors.ts'
import {
  addWindow,
  endSpeech,
  NO_SPEECH,
  type SpeechRules,
  type SpeechSpan,
  type SpeechState,
} from '../media/audio/speech.ts'
import { type SpeechParameters, speechRules } from '../tasks/sounds/speech-parameters.ts'
import { initialWindowState, runWindow, type WindowState } from '../tasks/sounds/windows.ts'
import type { StreamMessage } from './messages.ts'

/** State of a stream's audio. Plain data. */
export interface VadState {
  readonly carried: WindowState
  readonly speech: SpeechState
  /** Samples that do not fill a window yet, as they came. */
  readonly rest: Uint8Array
}

/** How a stream is heard. */
export interface VadSettings {
  readonly manifest: Manifest
  readonly audio: AudioSettings
  readonly window: WindowSettings
  readonly rules: SpeechRules
  readonly probabilities: boolean
}

const BYTES_PER_SAMPLE = 2
const FULL_SCALE = 32_768

/**
 * How a model hears a stream.
 * @param stateBytes what may be kept from message to message
 * @throws task_mismatch if it cannot, invalid_request where the parameters need the whole sound
 */
export function vadSettings(
  manifest: Manifest,
  { speech, probabilities }: { readonly speech: SpeechParameters; readonly probabilities: boolean },
  stateBytes: number,
): VadSettings {
  const { audio } = manifest
  if (manifest.task !== 'voice-activity-detection' || audio?.window === undefined || audio.normalize) {
    throw new VergeError('task_mismatch', `Model "${manifest.model}" does not support streams.`)
  }
  const { window } = audio
  const carried = window.state.reduce((sum, { shape }) => sum + shape.reduce((all, each) => all * each, 1), 0)
  if ((carried + window.context) * 4 + window.length * BYTES_PER_SAMPLE > stateBytes) {
    throw new VergeError(
      'task_mismatch',
      `Model "${manifest.model}" has a larger state than a stream can keep. Send whole files.`,
    )
  }
  const rules = speechRules(speech, audio)
  if (rules.minSilence < 2 * rules.pad) {
    // Where a segment ends would depend on speech that is not there yet.
    throw new VergeError(
      'invalid_request',
      'In a stream, "min_silence_duration_ms" must be at least twice "speech_pad_ms".',
      { details: { field: 'min_silence_duration_ms' } },
    )
  }
  return { manifest, audio, window, rules, probabilities }
}

export function initialVadState({ window }: VadSettings): VadState {
  return { carried: initialWindowState(window), speech: NO_SPEECH, rest: new Uint8Array(0) }
}

/**
 * Processes 16-bit little-endian PCM samples: runs the model on each complete window and keeps the rest.
 * @param emit called after each window with its messages
 * @returns the new state
 */
export async function processSamples(
  settings: VadSettings,
  before: VadState,
  pcm: Uint8Array,
  run: (inputs: Tensors) => Promise<Tensors>,
  emit: (message: StreamMessage) => void,
): Promise<VadState> {
  const windowBytes = settings.window.length * BYTES_PER_SAMPLE
  const bytes = concatBytes([before.rest, pcm])
  let { carried, speech } = before
  let at = 0
  for (; at + windowBytes <= bytes.length; at += windowBytes) {
    const step = await processWindow(settings, { carried, speech }, floats(bytes.subarray(at, at + windowBytes)), run)
    carried = step.carried
    speech = step.speech
    for (const message of step.messages) emit(message)
  }
  return { carried, speech, rest: bytes.slice(at) }
}

/** Hears what does not fill a window, with silence after it, and closes the segment that is open. */
export async function finishStream(
  settings: VadSettings,
  before: VadState,
  run: (inputs: Tensors) => Promise<Tensors>,
): Promise<readonly StreamMessage[]> {
  const { window, audio, rules } = settings
  const samples = before.speech.windows * window.length + before.rest.length / BYTES_PER_SAMPLE
  const messages: StreamMessage[] = []
  let { speech } = before
  if (before.rest.length > 0) {
    const last = new Float32Array(window.length)
    last.set(floats(before.rest))
    const step = await processWindow(settings, before, last, run)
    messages.push(...step.messages)
    speech = step.speech
  }
  const open = endSpeech(speech, samples, rules)
  if (open !== undefined) messages.push(segment(open, settings, samples))
  messages.push({ type: 'end', duration: samples / audio.sampleRate })
  return messages
}

async function processWindow(
  settings: VadSettings,
  before: Pick<VadState, 'carried' | 'speech'>,
  samples: Float32Array,
  run: (inputs: Tensors) => Promise<Tensors>,
): Promise<Pick<VadState, 'carried' | 'speech'> & { readonly messages: readonly StreamMessage[] }> {
  const { manifest, audio, window, rules } = settings
  const { probability, carried } = await runWindow(samples, before.carried, manifest, audio, window, run)
  const start = before.speech.windows * window.length
  const { state, closed } = addWindow(before.speech, probability, window.length, rules)
  const messages: StreamMessage[] = []
  if (settings.probabilities) messages.push({ type: 'probability', start: start / audio.sampleRate, probability })
  if (closed !== undefined) messages.push(segment(closed, settings, start + window.length))
  return { carried, speech: state, messages }
}

/** Padded; no other segment is near enough to be in the way. */
function segment({ start, end, score }: SpeechSpan, { audio, rules }: VadSettings, samples: number): StreamMessage {
  return {
    type: 'segment',
    start: Math.trunc(Math.max(0, start - rules.pad)) / audio.sampleRate,
    end: Math.trunc(Math.min(samples, end + rules.pad)) / audio.sampleRate,
    score,
  }
}

function floats(pcm: Uint8Array): Float32Array {
  const view = new DataView(pcm.buffer, pcm.byteOffset, pcm.byteLength)
  return Float32Array.from(
    { length: pcm.length / BYTES_PER_SAMPLE },
    (_, i) => view.getInt16(i * BYTES_PER_SAMPLE, true) / FULL_SCALE,
  )
}
