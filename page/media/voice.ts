/**
 * A few syllables of an artificial voice with silence between them: an example for models that listen, made by a pulse
 * train and three resonances (D. H. Klatt, "Software for a cascade/parallel formant synthesizer", 1980). Pure.
 */

export interface Syllable {
  /** Seconds. */
  readonly start: number
  readonly end: number
  /** Resonances of the mouth at the beginning and at the end, in hertz. */
  readonly from: readonly number[]
  readonly to: readonly number[]
}

const A = [730, 1090, 2440]
const I = [270, 2290, 3010]
const U = [300, 870, 2240]
const E = [530, 1840, 2480]
const O = [570, 840, 2410]

/** Two phrases: from 0.6 to 1.8 and from 2.7 to 3.7 seconds. */
export const SYLLABLES: readonly Syllable[] = [
  { start: 0.6, end: 0.86, from: U, to: A },
  { start: 0.9, end: 1.14, from: A, to: I },
  { start: 1.17, end: 1.42, from: E, to: O },
  { start: 1.45, end: 1.8, from: I, to: A },
  { start: 2.7, end: 2.98, from: O, to: E },
  { start: 3.02, end: 3.28, from: A, to: U },
  { start: 3.32, end: 3.7, from: E, to: A },
]

export const VOICE_SECONDS = 4.4

const BANDWIDTHS = [60, 90, 150]
const GAINS = [1, 0.6, 0.3]
/** Of a syllable: how long it takes to become loud, and to fade. */
const ATTACK = 0.04
const RELEASE = 0.07

/** @param sampleRate samples a second */
export function voice(sampleRate: number): Float32Array {
  const samples = new Float32Array(Math.round(VOICE_SECONDS * sampleRate))
  const breath = noise()
  for (const syllable of SYLLABLES) speak(syllable, samples, sampleRate, breath)
  const loudest = samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 1e-9)
  // As quiet as a room: absolute silence is found nowhere.
  return samples.map((sample) => (0.6 * sample) / loudest + 0.0006 * breath())
}

function speak(syllable: Syllable, into: Float32Array, sampleRate: number, breath: () => number): void {
  const { start, end, from, to } = syllable
  const resonances = BANDWIDTHS.map((bandwidth) => resonator(bandwidth, sampleRate))
  let phase = 0
  const first = Math.round(start * sampleRate)
  const count = Math.round((end - start) * sampleRate)
  for (let i = 0; i < count; i++) {
    const time = i / sampleRate
    const part = i / count
    // The pitch falls within a phrase and trembles a little, as that of people does.
    const pitch = 132 - 10 * start + 14 * Math.sin(Math.PI * part) + 2 * Math.sin(34 * time)
    phase += pitch / sampleRate
    phase -= Math.floor(phase)
    const pulse = phase < 0.6 ? Math.sin((Math.PI * phase) / 0.6) ** 2 * (phase < 0.4 ? 1 : -1.5) : 0
    const excitation = pulse + 0.03 * breath()
    const level = Math.min(1, time / ATTACK, (end - start - time) / RELEASE)
    let sum = 0
    for (const [k, resonate] of resonances.entries()) {
      const hertz = (from[k] ?? 0) + ((to[k] ?? 0) - (from[k] ?? 0)) * part
      sum += (GAINS[k] ?? 0) * resonate(excitation, hertz)
    }
    const at = first + i
    into[at] = (into[at] ?? 0) + level * sum
  }
}

/** A resonance of two poles, of the same loudness wherever it lies. */
function resonator(bandwidth: number, sampleRate: number): (input: number, hertz: number) => number {
  const decay = Math.exp((-Math.PI * bandwidth) / sampleRate)
  let one = 0
  let two = 0
  return (input, hertz) => {
    const output =
      (1 - decay) * input + 2 * decay * Math.cos((2 * Math.PI * hertz) / sampleRate) * one - decay * decay * two
    two = one
    one = output
    return output
  }
}

/** From -1 to 1, the same each time: a linear congruential generator (Numerical Recipes). */
function noise(): () => number {
  let state = 1
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 31 - 1
  }
}
