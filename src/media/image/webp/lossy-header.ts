import { BoolReader } from './bool-reader.ts'
import { damaged, incomplete } from './failures.ts'
import { AC_STEPS, DC_STEPS, TOKEN_PROBABILITIES, TOKEN_UPDATE_PROBABILITIES } from './tables.ts'

/** Quantizer steps of a segment: DC and AC of luma, of its second level, and of chroma. */
export interface Steps {
  readonly luma: readonly [number, number]
  readonly second: readonly [number, number]
  readonly chroma: readonly [number, number]
}

/** How strongly edges are smoothed. */
export interface FilterStrength {
  readonly level: number
  readonly interior: number
  readonly highVariance: number
}

export interface LossyHeader {
  readonly width: number
  readonly height: number
  /** What follows the header in the first partition: the macroblocks' modes. */
  readonly modes: BoolReader
  /** Macroblock rows take turns in them. */
  readonly tokens: readonly BoolReader[]
  readonly probabilities: Uint8Array
  /** Probabilities of the tree of segment numbers, where macroblocks name theirs. */
  readonly segmentTree: readonly [number, number, number] | undefined
  /** Probability that a macroblock says that it has coefficients, where it says so. */
  readonly skip: number | undefined
  readonly filter: 'none' | 'simple' | 'normal'
  readonly steps: readonly Steps[]
  /** By segment, for macroblocks of one mode and of sixteen. */
  readonly strengths: readonly { readonly whole: FilterStrength; readonly blocks: FilterStrength }[]
}

export interface Size {
  readonly width: number
  readonly height: number
}

/** Of a key frame. @throws invalid_image */
export function lossySize(data: Uint8Array): Size {
  if (data.length < 10) throw incomplete()
  if (((data[0] ?? 0) & 1) !== 0 || data[3] !== 0x9d || data[4] !== 0x01 || data[5] !== 0x2a) throw damaged()
  return { width: u16(data, 6) & 0x3fff, height: u16(data, 8) & 0x3fff }
}

/** Reads a key frame's header (RFC 6386, 9 and 19.2). @throws invalid_image */
export function lossyHeader(data: Uint8Array): LossyHeader {
  const size = lossySize(data)
  const firstBytes = ((data[0] ?? 0) | ((data[1] ?? 0) << 8) | ((data[2] ?? 0) << 16)) >> 5
  if (10 + firstBytes > data.length) throw incomplete()
  const reader = new BoolReader(data.subarray(10, 10 + firstBytes))
  // Colour space and clamping: every picture is clamped here, which is right for those that need none too.
  reader.number(2)
  const segments = readSegments(reader)
  const simple = reader.flag()
  const level = reader.number(6)
  const sharpness = reader.number(3)
  const deltas = readFilterDeltas(reader)
  const tokens = tokenPartitions(data.subarray(10 + firstBytes), 1 << reader.number(2))
  const steps = readSteps(reader, segments)
  // Whether the probabilities outlive this frame: there is no other.
  reader.flag()
  const probabilities = readProbabilities(reader)
  const skip = reader.flag() ? reader.number(8) : undefined
  const strengths = segments.levels.map((own) => {
    const base = segments.absolute ? own : level + own
    const strength = (delta: number): FilterStrength => strengthOf(base + delta, sharpness)
    return { whole: strength(deltas.whole), blocks: strength(deltas.blocks) }
  })
  const filter = level === 0 ? 'none' : simple ? 'simple' : 'normal'
  return { ...size, modes: reader, tokens, probabilities, segmentTree: segments.tree, skip, filter, steps, strengths }
}

interface Segments {
  readonly absolute: boolean
  readonly quantizers: readonly number[]
  readonly levels: readonly number[]
  readonly tree: readonly [number, number, number] | undefined
}

function readSegments(reader: BoolReader): Segments {
  const none = { absolute: false, quantizers: [0, 0, 0, 0], levels: [0, 0, 0, 0], tree: undefined }
  if (!reader.flag()) return none
  const told = reader.flag()
  let segments: Segments = none
  if (reader.flag()) {
    const absolute = reader.flag()
    const four = (bits: number): number[] => Array.from({ length: 4 }, () => reader.optional(bits))
    segments = { absolute, quantizers: four(7), levels: four(6), tree: undefined }
  }
  if (!told) return segments
  const probability = (): number => (reader.flag() ? reader.number(8) : 255)
  return { ...segments, tree: [probability(), probability(), probability()] }
}

/** What is added to the filter's level in a key frame, for macroblocks of one mode and of sixteen. */
function readFilterDeltas(reader: BoolReader): { readonly whole: number; readonly blocks: number } {
  if (!reader.flag()) return { whole: 0, blocks: 0 }
  if (!reader.flag()) return { whole: 0, blocks: 0 }
  const deltas = Array.from({ length: 8 }, () => reader.optional(6))
  const [frame = 0] = deltas
  return { whole: frame, blocks: frame + (deltas[4] ?? 0) }
}

function tokenPartitions(data: Uint8Array, count: number): BoolReader[] {
  let at = 3 * (count - 1)
  if (at > data.length) throw incomplete()
  return Array.from({ length: count }, (_, i) => {
    const size = (data[3 * i] ?? 0) | ((data[3 * i + 1] ?? 0) << 8) | ((data[3 * i + 2] ?? 0) << 16)
    const end = i === count - 1 ? data.length : Math.min(data.length, at + size)
    const partition = data.subarray(at, end)
    at = end
    return new BoolReader(partition)
  })
}

function readSteps(reader: BoolReader, { absolute, quantizers }: Segments): Steps[] {
  const base = reader.number(7)
  const [lumaDc, secondDc, secondAc, chromaDc, chromaAc] = Array.from({ length: 5 }, () => reader.optional(4))
  return quantizers.map((own) => {
    const index = absolute ? own : base + own
    const dc = (delta = 0, most = 127): number => DC_STEPS[Math.min(most, Math.max(0, index + delta))] ?? 0
    const ac = (delta = 0): number => AC_STEPS[Math.min(127, Math.max(0, index + delta))] ?? 0
    return {
      luma: [dc(lumaDc), ac()],
      second: [2 * dc(secondDc), Math.max(8, Math.trunc((ac(secondAc) * 155) / 100))],
      chroma: [dc(chromaDc, 117), ac(chromaAc)],
    }
  })
}

function readProbabilities(reader: BoolReader): Uint8Array {
  return TOKEN_PROBABILITIES.map((usual, i) =>
    reader.bit(TOKEN_UPDATE_PROBABILITIES[i] ?? 255) === 1 ? reader.number(8) : usual,
  )
}

function strengthOf(wanted: number, sharpness: number): FilterStrength {
  const level = Math.min(63, Math.max(0, wanted))
  let interior = level
  if (sharpness > 0) interior = Math.min(interior >> (sharpness > 4 ? 2 : 1), 9 - sharpness)
  return { level, interior: Math.max(1, interior), highVariance: level >= 40 ? 2 : level >= 15 ? 1 : 0 }
}

function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8)
}
