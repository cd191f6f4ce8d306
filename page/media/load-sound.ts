/** Opens a sound as a browser can, and makes of it what a request may have. */
import type { SoundLimits } from './limits.ts'
import type { Loaded } from './load-picture.ts'
import { sizeInWords } from './size-words.ts'
import { clockTime, spokenTime } from './timeline.ts'
import { isWav, mixed, wavFile } from './wav.ts'

export interface Sound {
  /** A WAV file, as it is sent. */
  readonly blob: Blob
  readonly name: string
  /** One channel at the rate of the model, for the eye. */
  readonly samples: Float32Array
  readonly sampleRate: number
  readonly seconds: number
  readonly note?: string | undefined
}

const TYPE = 'audio/wav'
/** A WAV file of no more has nothing but its header. */
const WAV_HEADER_BYTES = 44
/** Below this nobody hears anything. */
const SILENCE = 0.002

/** @param rate samples a second that the model takes */
export async function loadSound(file: Blob, name: string, rate: number, limits: SoundLimits): Promise<Loaded<Sound>> {
  if (file.size === 0) return { problem: `The file "${name}" is empty. Choose another sound, or record one.` }
  if (file.size > limits.openedBytes) {
    return {
      problem: `The file "${name}" has ${sizeInWords(file.size)}; this page opens sounds of at most ${sizeInWords(limits.openedBytes)}. Choose a shorter one.`,
    }
  }
  let bytes: ArrayBuffer
  try {
    bytes = await file.arrayBuffer()
  } catch {
    return { problem: `The file "${name}" cannot be read any more. Choose it again.` }
  }
  const wav = isWav(new Uint8Array(bytes, 0, Math.min(12, bytes.byteLength)))
  const samples = await decoded(bytes, rate)
  if (samples?.length === 0 || (wav && file.size <= WAV_HEADER_BYTES)) {
    return { problem: `The sound "${name}" has no samples. Choose another one, or record one.` }
  }
  if (samples === undefined) {
    return {
      problem: wav
        ? `The WAV file "${name}" is damaged, or of a kind that this browser cannot play. Save it as 16-bit PCM, and choose that file.`
        : `The file "${name}" is not a sound that this browser can play. Choose a WAV, MP3, Ogg or M4A file.`,
    }
  }
  const seconds = samples.length / rate
  const asItIs = wav && file.size <= limits.bytes && seconds <= limits.seconds
  if (asItIs) {
    const blob = file.type === TYPE ? file : new Blob([file], { type: TYPE })
    return { ok: { blob, name, samples, sampleRate: rate, seconds, note: silenceNote(samples) } }
  }
  const made = soundOf(samples, name, rate, limits)
  const converted = wav ? undefined : `It was converted to WAV with one channel at ${rate / 1000} kHz.`
  return { ok: { ...made, note: joined(converted, made.note) } }
}

/** A sound of samples that are there already, cut to what a request may have. */
export function soundOf(samples: Float32Array, name: string, rate: number, limits: SoundLimits): Sound {
  const most = Math.floor(Math.min(limits.seconds * rate, (limits.bytes - 1024) / 2))
  const kept = samples.length > most ? samples.subarray(0, most) : samples
  const seconds = kept.length / rate
  const cut =
    kept.length < samples.length
      ? `The sound lasts ${spokenTime(samples.length / rate)}; a request may have ${spokenTime(Math.floor(seconds))}. Only the first ${clockTime(seconds)} are sent.`
      : undefined
  const blob = new Blob([wavFile(kept, rate)], { type: TYPE })
  return { blob, name, samples: kept, sampleRate: rate, seconds, note: joined(cut, silenceNote(kept)) }
}

/** One channel of samples at a rate; undefined if the browser cannot decode the file. */
async function decoded(bytes: ArrayBuffer, rate: number): Promise<Float32Array | undefined> {
  try {
    // Decodes and resamples; nothing is played.
    const buffer = await new OfflineAudioContext(1, 1, rate).decodeAudioData(bytes)
    return mixed(Array.from({ length: buffer.numberOfChannels }, (_, i) => buffer.getChannelData(i)))
  } catch {
    return undefined
  }
}

function silenceNote(samples: Float32Array): string | undefined {
  return samples.every((sample) => Math.abs(sample) < SILENCE)
    ? 'The sound is silent. If you recorded it, check that the right microphone is chosen and not muted.'
    : undefined
}

function joined(...notes: readonly (string | undefined)[]): string | undefined {
  const found = notes.filter((note) => note !== undefined)
  return found.length > 0 ? found.join(' ') : undefined
}
