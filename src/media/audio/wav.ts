import { VergeError } from '../../core/errors.ts'

/** What a WAV file's header says, checked against the file. */
export interface Wav {
  /** Frames a second. */
  readonly sampleRate: number
  readonly channels: number
  /** Samples of all channels at one moment, counted. */
  readonly frames: number
  /**
   * Writes `count` frames from `from` on, each the mean of its channels, full scale 1, to the beginning of `into`.
   * @throws invalid_audio for a sample that is not a finite number
   */
  read(from: number, count: number, into: Float32Array): void
}

type Encoding = 'pcm' | 'float'

interface Format {
  readonly encoding: Encoding
  readonly channels: number
  readonly sampleRate: number
  readonly bytesPerSample: number
}

const PCM = 1
const FLOAT = 3
const EXTENSIBLE = 0xfffe

/** Names of formats that are met in the wild and not decoded here, for the message. */
const OTHER_FORMATS: Readonly<Record<number, string>> = {
  2: 'ADPCM',
  6: 'A-law',
  7: 'mu-law',
  17: 'IMA ADPCM',
  49: 'GSM 6.10',
  85: 'MP3',
  255: 'AAC',
}

/** The tail that every sub-format GUID of WAVE_FORMAT_EXTENSIBLE shares (KSDATAFORMAT_SUBTYPE_*). */
const GUID_TAIL = [0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x80, 0x00, 0x00, 0xaa, 0x00, 0x38, 0x9b, 0x71]

const MIN_RATE = 1000
const MAX_RATE = 384_000
const MAX_CHANNELS = 32

/** Programs that write to a pipe cannot go back to fill the length in, and leave one of these: ffmpeg, sox. */
const UNKNOWN_LENGTH = 0x7ffff000

/** The length of a chunk whose own is in the `ds64` chunk, and one of those that say nothing. */
const LARGE = 0xffffffff

/** A file made of many tiny chunks would be walked for nothing. */
const MAX_CHUNKS = 1000

/**
 * Reads the header of a WAVE file: PCM of 8 to 32 bits, float of 32 or 64, plain or WAVE_FORMAT_EXTENSIBLE, in RIFF, RF64
 * or BW64 (EBU Tech 3306, ITU-R BS.2088). Nothing is copied or decoded. Chunks other than `fmt `, `ds64` and `data` are
 * skipped. Recorders write lengths that are wrong in many ways; what is there of the samples is read, as ffmpeg does.
 * @throws invalid_audio, naming the field that is wrong
 */
export function parseWav(bytes: Uint8Array): Wav {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const riff = tag(view, 0)
  if (riff === 'RIFX') throw invalid('format', 'is RIFX, whose samples are big-endian; send a RIFF file')
  const large = riff === 'RF64' || riff === 'BW64'
  if ((riff !== 'RIFF' && !large) || tag(view, 8) !== 'WAVE') {
    throw new VergeError(
      'invalid_audio',
      'The audio is not a WAV file. Send PCM or float samples in a WAV, such as "ffmpeg -i in.mp3 out.wav" makes.',
    )
  }
  let format: Format | undefined
  let largeSize = 0
  let offset = 12
  for (let chunks = 0; offset + 8 <= view.byteLength; chunks++) {
    if (chunks === MAX_CHUNKS) throw invalid('chunks', `counts more than ${MAX_CHUNKS}`)
    const id = tag(view, offset)
    const size = view.getUint32(offset + 4, true)
    const start = offset + 8
    const rest = view.byteLength - start
    if (id === 'data') {
      if (format === undefined) throw invalid('fmt', 'is missing before the samples')
      return samples(view, format, start, dataLength(view, start, size === LARGE ? largeSize : size, format))
    }
    if (size > rest) throw invalid(id === 'fmt ' ? 'fmt' : 'chunk size', 'reaches past the end of the file')
    if (id === 'fmt ') format = readFormat(view, start, size)
    // Lengths of more than 32 bits: of the whole file, then of the samples.
    if (id === 'ds64' && large && size >= 16) largeSize = Number(view.getBigUint64(start + 8, true))
    // A chunk of odd length is followed by a byte of padding.
    offset = start + size + (size % 2)
  }
  throw invalid(format === undefined ? 'fmt' : 'data', 'is missing')
}

function readFormat(view: DataView, start: number, size: number): Format {
  if (size < 16) throw invalid('fmt', `has ${size} bytes, but needs 16`)
  let code = view.getUint16(start, true)
  const channels = view.getUint16(start + 2, true)
  const sampleRate = view.getUint32(start + 4, true)
  const frameBytes = view.getUint16(start + 12, true)
  const bits = view.getUint16(start + 14, true)
  if (code === EXTENSIBLE) {
    if (size < 40) throw invalid('fmt', `has ${size} bytes, but WAVE_FORMAT_EXTENSIBLE needs 40`)
    if (GUID_TAIL.some((byte, i) => view.getUint8(start + 26 + i) !== byte)) throw invalid('sub-format', 'is unknown')
    code = view.getUint16(start + 24, true)
  }
  if (code !== PCM && code !== FLOAT) {
    throw invalid('format', `is ${OTHER_FORMATS[code] ?? `number ${code}`}; only PCM and float samples are decoded`)
  }
  const encoding = code === PCM ? 'pcm' : 'float'
  if (channels < 1 || channels > MAX_CHANNELS)
    throw invalid('channels', `is ${channels}; it must be 1 to ${MAX_CHANNELS}`)
  if (sampleRate < MIN_RATE || sampleRate > MAX_RATE) {
    throw invalid('sample rate', `is ${sampleRate}; it must be ${MIN_RATE} to ${MAX_RATE}`)
  }
  // Samples of 12 or 20 bits lie in the upper bits of 2 or 3 bytes.
  const bytesPerSample = Math.ceil(bits / 8)
  const known = encoding === 'pcm' ? bytesPerSample >= 1 && bytesPerSample <= 4 : bits === 32 || bits === 64
  if (!known) throw invalid('bits per sample', `is ${bits}; PCM has 8 to 32, and float 32 or 64`)
  if (frameBytes !== channels * bytesPerSample) {
    throw invalid('block align', `is ${frameBytes}, but a frame has ${channels} x ${bytesPerSample} bytes`)
  }
  return { encoding, channels, sampleRate, bytesPerSample }
}

/**
 * Bytes of whole frames: as many as the header says, where it says anything and they are there. A length of 0 is left
 * behind by programs that were ended, unless chunks follow to the end of the file.
 */
function dataLength(view: DataView, start: number, size: number, format: Format): number {
  const rest = view.byteLength - start
  const unknown = size >= UNKNOWN_LENGTH || (size === 0 && !chunksFrom(view, start))
  const bytes = unknown ? rest : Math.min(size, rest)
  return bytes - (bytes % (format.channels * format.bytesPerSample))
}

/** Whether nothing but chunks lies between an offset and the end. */
function chunksFrom(view: DataView, start: number): boolean {
  let offset = start
  for (let chunks = 0; offset + 8 <= view.byteLength && chunks < MAX_CHUNKS; chunks++) {
    if (!/^[\x20-\x7e]{4}$/.test(tag(view, offset))) return false
    const size = view.getUint32(offset + 4, true)
    offset += 8 + size + (size % 2)
  }
  return offset >= view.byteLength && offset <= view.byteLength + 1
}

function samples(view: DataView, format: Format, start: number, length: number): Wav {
  const { channels, sampleRate, bytesPerSample } = format
  const frameBytes = channels * bytesPerSample
  const frames = length / frameBytes
  const sampleAt = reader(view, format)
  return {
    sampleRate,
    channels,
    frames,
    read(from, count, into) {
      if (from < 0 || from + count > frames) throw new RangeError('frames outside the file')
      let at = start + from * frameBytes
      for (let i = 0; i < count; i++) {
        let sum = 0
        for (let channel = 0; channel < channels; channel++, at += bytesPerSample) sum += sampleAt(at)
        const mean = sum / channels
        // Beyond single precision's range it would become an infinity, and the model's answer no number.
        if (!(Math.abs(mean) <= MAX_FLOAT)) throw invalid('data', `has a sample that is not a finite number`)
        into[i] = mean
      }
    },
  }
}

const MAX_FLOAT = 3.4028234663852886e38

function reader(view: DataView, { encoding, bytesPerSample }: Format): (at: number) => number {
  if (encoding === 'float') {
    return bytesPerSample === 4 ? (at) => view.getFloat32(at, true) : (at) => view.getFloat64(at, true)
  }
  switch (bytesPerSample) {
    // The only unsigned form.
    case 1:
      return (at) => (view.getUint8(at) - 128) / 128
    case 2:
      return (at) => view.getInt16(at, true) / 32_768
    case 3:
      return (at) => (view.getInt8(at + 2) * 65_536 + view.getUint16(at, true)) / 8_388_608
    default:
      return (at) => view.getInt32(at, true) / 2_147_483_648
  }
}

/** Four characters of the file, or fewer at its end. */
function tag(view: DataView, at: number): string {
  let text = ''
  for (let i = at; i < Math.min(at + 4, view.byteLength); i++) text += String.fromCharCode(view.getUint8(i))
  return text
}

function invalid(field: string, problem: string): VergeError {
  return new VergeError('invalid_audio', `The WAV file cannot be read: its field "${field}" ${problem}.`, {
    details: { field },
  })
}
