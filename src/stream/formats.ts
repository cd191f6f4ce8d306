/**
 * Formats that clients send by mistake instead of 16-bit PCM, and that would be processed as noise: files with a
 * header, as `MediaRecorder` creates them, and 32-bit floats of the Web Audio API.
 */

/** Text at a place in the first bytes, and what begins so. */
const FILES: readonly (readonly [string, readonly (readonly [number, string])[]])[] = [
  [
    'a WAV file',
    [
      [0, 'RIFF'],
      [8, 'WAVE'],
    ],
  ],
  [
    'a WAV file',
    [
      [0, 'RF64'],
      [8, 'WAVE'],
    ],
  ],
  [
    'an AIFF file',
    [
      [0, 'FORM'],
      [8, 'AIF'],
    ],
  ],
  ['an Ogg file', [[0, 'OggS']]],
  ['a FLAC file', [[0, 'fLaC']]],
  ['a WebM file', [[0, '\x1a\x45\xdf\xa3']]],
  ['an MP4 file', [[4, 'ftyp']]],
  ['an MP3 file', [[0, 'ID3']]],
]

/** The kind of file that a stream begins like. Samples begin so by chance once in 16 million streams, or less often. */
export function fileLike(first: Uint8Array): string | undefined {
  const isAt = ([at, text]: readonly [number, string]): boolean =>
    [...text].every((character, i) => first[at + i] === character.charCodeAt(0))
  return FILES.find(([, marks]) => marks.every(isAt))?.[0]
}

/** Numbers that are looked at: a quarter of a second at 16 kHz, and enough to be sure. */
const MOST = 4096
const LEAST = 64
/** Of a float's exponent, biased by 127: sound from the noise of a microphone (2^-47) up to full scale and a little more. */
const QUIETEST = 80
const LOUDEST = 127
const NEARLY_ALL = 0.98
const EXPONENTS = 4
const EACH_SIGN = 1 / 16

/**
 * Whether bytes are samples in 32-bit floats, little-endian. Sound goes up and down through zero: as floats its exponents
 * all lie in a narrow range, several occur, and both signs do. Two samples of 16 bits that look like such a float are
 * between a quarter and a half of full scale, always; no sound stays there.
 * @returns undefined where too little is heard to tell, such as silence
 */
export function areFloats(bytes: Uint8Array): boolean | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const exponents = new Set<number>()
  let loudSamples = 0
  let fits = 0
  let negative = 0
  for (let at = 0; at + 4 <= Math.min(bytes.length, MOST * 4); at += 4) {
    const word = view.getUint32(at, true)
    if (word << 1 === 0) continue
    loudSamples++
    const exponent = (word >>> 23) & 0xff
    if (exponent < QUIETEST || exponent > LOUDEST) continue
    fits++
    exponents.add(exponent)
    if (word >>> 31 === 1) negative++
  }
  if (loudSamples < LEAST) return undefined
  const bothSigns = Math.min(negative, fits - negative) >= loudSamples * EACH_SIGN
  return fits >= loudSamples * NEARLY_ALL && exponents.size >= EXPONENTS && bothSigns
}
