/** Writes a WAV file of one channel in 16 bits: the form that a request with sound takes least room in. Pure. */

const HEADER_BYTES = 44
const FULL_SCALE = 32_768

/** @param samples full scale 1; what is louder is clipped, and what is not a number is silence */
export function wavFile(samples: Float32Array, sampleRate: number): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(HEADER_BYTES + 2 * samples.length))
  const tag = (at: number, text: string): void => {
    for (let i = 0; i < 4; i++) view.setUint8(at + i, text.charCodeAt(i))
  }
  tag(0, 'RIFF')
  view.setUint32(4, view.byteLength - 8, true)
  tag(8, 'WAVE')
  tag(12, 'fmt ')
  view.setUint32(16, 16, true)
  // PCM, one channel.
  view.setUint16(20, 1, true)
  view.setUint16(22, 1, true)
  view.setUint32(24, sampleRate, true)
  view.setUint32(28, 2 * sampleRate, true)
  view.setUint16(32, 2, true)
  view.setUint16(34, 16, true)
  tag(36, 'data')
  view.setUint32(40, 2 * samples.length, true)
  for (let i = 0; i < samples.length; i++) view.setInt16(HEADER_BYTES + 2 * i, wholeOf(samples[i] ?? 0), true)
  return new Uint8Array(view.buffer)
}

function wholeOf(sample: number): number {
  if (Number.isNaN(sample)) return 0
  return Math.max(-FULL_SCALE, Math.min(FULL_SCALE - 1, Math.round(sample * FULL_SCALE)))
}

/** Whether a file begins as WAV files do, which models take as they are. */
export function isWav(bytes: Uint8Array): boolean {
  const text = (at: number): string => String.fromCharCode(...bytes.subarray(at, at + 4))
  return (text(0) === 'RIFF' || text(0) === 'RF64' || text(0) === 'BW64') && text(8) === 'WAVE'
}

/** The mean of several channels. They have the same length. */
export function mixed(channels: readonly Float32Array[]): Float32Array {
  const [first] = channels
  if (first === undefined) return new Float32Array(0)
  if (channels.length === 1) return first
  return first.map((_, i) => channels.reduce((sum, channel) => sum + (channel[i] ?? 0), 0) / channels.length)
}

/** The largest deflection of each of `columns` equal parts, from 0 to 1: what a timeline draws. */
export function peaks(samples: Float32Array, columns: number): Float32Array {
  const result = new Float32Array(columns)
  for (let i = 0; i < samples.length; i++) {
    const column = Math.min(columns - 1, Math.floor((i * columns) / samples.length))
    const level = Math.min(1, Math.abs(samples[i] ?? 0))
    if (level > (result[column] ?? 0)) result[column] = level
  }
  return result
}
