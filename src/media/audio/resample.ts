import { type StepMeter, tooManySteps, type Work } from '../../core/work.ts'

/**
 * Band-limited resampling: each new sample is the old ones weighted by a sinc under a Kaiser window, whose cut-off lies
 * below half of the lower rate (J. O. Smith, "Digital Audio Resampling", CCRMA; A. V. Oppenheim and R. W. Schafer,
 * "Discrete-Time Signal Processing", 7.5.3 for the window).
 */

/** Zero crossings of the sinc on each side: more make the filter steeper and slower. */
const CROSSINGS = 32
/** Keeps what is folded back about 90 dB down. */
const KAISER_BETA = 9
/** The cut-off as a share of half the lower rate, so that the stop band begins there: the window is 0.09 wide each way. */
const ROLL_OFF = 0.91
/** Positions in a lobe of the sinc that it is computed for at the most. Between them it is interpolated: an error below 1e-5. */
const PHASES_PER_LOBE = 512

/** Samples read at a time. */
const BLOCK = 4096

/** Where samples come from; `read` writes `count` of them to the beginning of `into`. */
export interface Samples {
  readonly sampleRate: number
  readonly frames: number
  /** That `read` makes one of; one if left out. */
  readonly channels?: number
  read(from: number, count: number, into: Float32Array): void
}

/** How many samples there are at another rate. */
export function resampledLength(frames: number, from: number, to: number): number {
  return Math.ceil((frames * to) / from)
}

/** Steps (docs/limits.md): of a sample read, of one written, and of each of its taps, of one filter or of two. */
const READ = 8
const WRITTEN = 25
const TAP = 1
const MIXED_TAP = 1.2

/**
 * The samples at another rate: the n-th is the signal at n / `rate` seconds; before and after it, there is silence.
 * Holds the result and a few blocks, never the samples at their own rate. A long filter and a high rate both cost: what
 * they come to is known, and refused, before anything is read.
 * @param length of the result, where less is wanted than there is
 * @throws input_too_large
 */
export function* resampling(
  samples: Samples,
  rate: number,
  meter: StepMeter,
  length = resampledLength(samples.frames, samples.sampleRate, rate),
): Work<Float32Array> {
  const { sampleRate, frames, channels = 1 } = samples
  const { perSample } = ratio(sampleRate, rate)
  const refusal = tooManySteps(
    `This audio (${frames} samples of ${channels} channels at ${sampleRate} Hz, for a model of ${rate} Hz)`,
    `Send a shorter recording, or one at ${rate} Hz with one channel`,
  )
  const read = Math.min(frames, Math.ceil((length * sampleRate) / rate)) * channels * READ
  meter.require(read + length * perSample, refusal)
  yield meter.piece()
  const result = new Float32Array(length)
  const pieces = sampleRate === rate ? copy(samples, result) : filterInto(samples, rate, result)
  const each = length === 0 ? 0 : read / length + perSample
  for (const written of pieces) {
    meter.spend(written * each, refusal)
    yield meter.piece()
  }
  return result
}

function ratio(from: number, to: number) {
  const divisor = greatestCommonDivisor(from, to)
  const [up, down] = [to / divisor, from / divisor]
  const { phases, half } = filterSize(up, down)
  // Between two phases a sample is interpolated from both.
  const tap = phases < up ? MIXED_TAP : TAP
  return { up, down, perSample: WRITTEN + (from === to ? 0 : 2 * half * tap) }
}

/** Tells after each block how many samples it has written. */
function* copy(samples: Samples, result: Float32Array): Generator<number> {
  const end = Math.min(samples.frames, result.length)
  for (let at = 0; at < end; at += BLOCK) {
    const count = Math.min(BLOCK, end - at)
    samples.read(at, count, result.subarray(at))
    yield count
  }
}

function* filterInto(samples: Samples, rate: number, result: Float32Array): Generator<number> {
  const { up, down } = ratio(samples.sampleRate, rate)
  const bank = filterBank(up, down)
  const { taps, half } = bank
  const perBlock = Math.max(1, Math.floor((BLOCK * up) / down))
  const window = new Float32Array(Math.ceil((perBlock * down) / up) + taps + 1)
  for (let begin = 0; begin < result.length; begin += perBlock) {
    const end = Math.min(begin + perBlock, result.length)
    // The first and last sample under the filter, half of which may lie outside the signal.
    const first = Math.floor((begin * down) / up) - half + 1
    const last = Math.floor(((end - 1) * down) / up) + half
    fill(samples, first, last, window)
    filterBlock(bank, { up, down, begin, end, first }, window, result)
    yield end - begin
  }
}

function filterBlock(
  { phases, taps, half, table }: FilterBank,
  { up, down, begin, end, first }: Readonly<Record<'up' | 'down' | 'begin' | 'end' | 'first', number>>,
  window: Float32Array,
  result: Float32Array,
): void {
  for (let n = begin; n < end; n++) {
    const whole = Math.floor((n * down) / up)
    const position = ((n * down - whole * up) * phases) / up
    const phase = Math.floor(position)
    const mix = position - phase
    const offset = whole - half + 1 - first
    const filter = phase * taps
    result[n] = mix === 0 ? dot(window, offset, table, filter, taps) : mixed(window, offset, table, filter, taps, mix)
  }
}

/** The samples from `first` to `last`, both included, with zeros where there are none. */
function fill(samples: Samples, first: number, last: number, window: Float32Array): void {
  const from = Math.max(0, first)
  const to = Math.min(samples.frames, last + 1)
  window.fill(0)
  if (to > from) samples.read(from, to - from, window.subarray(from - first))
}

function dot(a: Float32Array, aOffset: number, b: Float32Array, bOffset: number, count: number): number {
  let sum = 0
  for (let i = 0; i < count; i++) sum += (a[aOffset + i] ?? 0) * (b[bOffset + i] ?? 0)
  return sum
}

/** Between what a filter and the one behind it give. */
function mixed(a: Float32Array, aOffset: number, b: Float32Array, bOffset: number, count: number, mix: number): number {
  let here = 0
  let next = 0
  for (let i = 0; i < count; i++) {
    const sample = a[aOffset + i] ?? 0
    here += sample * (b[bOffset + i] ?? 0)
    next += sample * (b[bOffset + count + i] ?? 0)
  }
  return here + mix * (next - here)
}

interface FilterBank {
  readonly phases: number
  readonly taps: number
  /** Taps on each side of the position. */
  readonly half: number
  /** One filter a phase, and one more, which is the first moved on by a sample. */
  readonly table: Float32Array
}

function filterSize(up: number, down: number) {
  // Cut-off in cycles a sample, times two: 1 is half the rate of the signal.
  const cutOff = ROLL_OFF * Math.min(1, up / down)
  // Longer filters need fewer phases, so that the table stays below 40,000 entries for any two rates.
  const phases = Math.min(up, Math.ceil(PHASES_PER_LOBE * cutOff))
  return { cutOff, phases, half: Math.ceil(CROSSINGS / cutOff) }
}

/** Filters for every position between two samples that can occur, or for enough of them. */
function filterBank(up: number, down: number): FilterBank {
  const { cutOff, phases, half } = filterSize(up, down)
  const taps = 2 * half
  const table = new Float32Array((phases + 1) * taps)
  const filter = new Float64Array(taps)
  for (let phase = 0; phase <= phases; phase++) {
    let sum = 0
    for (let tap = 0; tap < taps; tap++) {
      const distance = tap - half + 1 - phase / phases
      const value = sinc(cutOff * distance) * kaiser(distance / half)
      filter[tap] = value
      sum += value
    }
    // A constant stays exactly what it is, at every phase.
    for (let tap = 0; tap < taps; tap++) table[phase * taps + tap] = (filter[tap] ?? 0) / sum
  }
  return { phases, taps, half, table }
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x)
}

/** The Kaiser window at `x` from -1 to 1. */
function kaiser(x: number): number {
  return Math.abs(x) > 1 ? 0 : besselI0(KAISER_BETA * Math.sqrt(1 - x * x)) / besselI0(KAISER_BETA)
}

/** The modified Bessel function of the first kind and order zero, by its power series. */
function besselI0(x: number): number {
  let term = 1
  let sum = 1
  for (let k = 1; term > sum * 1e-17; k++) {
    term *= (x / (2 * k)) ** 2
    sum += term
  }
  return sum
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b)
}
