import { isVergeError } from '../src/core/errors.ts'
import { LIMITS } from '../src/core/limits.ts'
import { finish, StepMeter, type Work } from '../src/core/work.ts'
import { decodingAudio } from '../src/media/audio/decode.ts'
import { parsingCsv } from '../src/media/csv/parse.ts'
import { decodingImage } from '../src/media/image/decode.ts'
import { resizing } from '../src/media/image/resize.ts'
import { png } from '../synthetic/png.ts'
import { wav } from '../synthetic/wav.ts'
import {
  compressedAlpha,
  emptyBlocks,
  fullJpeg,
  losslessWebp,
  noise,
  noisyWebp,
  repeatedPng,
  type ScanKind,
  scannedJpeg,
  segmentedJpeg,
  writtenPng,
} from '../synthetic/worst-media.ts'

/**
 * How long a step is (docs/limits.md): CPU time of reading the costliest content of each kind, and the steps that are counted
 * for it. Run it on a quiet machine; a step that takes more than a nanosecond is priced too low.
 *
 *     npm run bench:decoding
 */

const MiB = 1024 * 1024
const options = { maxPixels: LIMITS.imagePixels, maxFullPixels: LIMITS.fullImagePixels, maxScans: LIMITS.jpegScans }

type Reader = (meter: StepMeter) => Work<unknown>

const picture =
  (bytes: Uint8Array): Reader =>
  (meter) =>
    decodingImage(bytes, options, meter)

const sound = (sampleRate: number, frames: number): Reader => {
  const file = wav({ samples: new Float32Array(frames).fill(0.1), sampleRate, encoding: 'u8' })
  return (meter) => decodingAudio(file, { sampleRate: 16_000, normalize: true }, LIMITS, meter)
}

const scaled = (width: number, height: number, to: number, filter: 'bilinear' | 'lanczos'): Reader => {
  const image = { width, height, channels: 3, data: noise(3 * width * height) } as const
  return (meter) => resizing(image, to, to, filter, meter)
}

const table = (text: string): Reader => {
  const limits = { maxColumns: 4_096, maxRows: 4_096, maxCells: 131_072, maxCellLength: MiB }
  return (meter) => parsingCsv(text, limits, {}, meter)
}

const scans = (count: number, kind: ScanKind['kind']): ScanKind[] => [
  ...[0, 1, 2].map((component): ScanKind => ({ component, kind: 'dc' })),
  ...Array.from({ length: count }, (_, i): ScanKind => ({ component: i % 3, kind })),
]
const three = [0x11, 0x11, 0x11]
const small = { width: 64, height: 64, depth: 8, colour: 2 }

const READERS: Readonly<Record<string, () => Reader>> = {
  'PNG, 64 bits, interlaced, 4 MP': () =>
    picture(repeatedPng({ width: 2048, height: 2048, depth: 16, colour: 6, interlaced: true }, 4)),
  'PNG, 32 bits, 32 MP': () => picture(repeatedPng({ width: 8192, height: 4096, depth: 8, colour: 6 }, 4)),
  'PNG, 1 bit, 32 MP': () => picture(repeatedPng({ width: 8192, height: 4096, depth: 1, colour: 3 }, 4)),
  'PNG, 8 MB of literals': () => picture(writtenPng({ width: 1600, height: 1700, depth: 8, colour: 2 }, 4, false)),
  'PNG, empty blocks': () => picture(png(small, emptyBlocks('wide', MiB))),
  'JPEG, all coefficients': () => picture(fullJpeg({ width: 1500, height: 1000, factors: three })),
  'JPEG, 32 scans, 4 MP': () =>
    picture(scannedJpeg({ width: 2048, height: 2048, factors: three, scans: scans(29, 'ac again') })),
  'JPEG, 8 scans, 16 MP': () =>
    picture(scannedJpeg({ width: 4096, height: 4096, factors: three, scans: scans(5, 'ac again') })),
  'JPEG, arithmetic, 1 MP': () => picture(fullJpeg({ width: 1024, height: 1024, factors: three, marker: 0xc9 })),
  'JPEG, 8 MB of segments': () => picture(segmentedJpeg('comments', 7 * MiB)),
  'WebP, lossy, 12 MP': () => picture(noisyWebp(4000, 3000, 60)),
  'WebP, lossy, 4 MP, dense': () => picture(noisyWebp(2048, 2048, 400)),
  'WebP, lossless, 2 MP': () => picture(losslessWebp(1400, 1400, 13)),
  'WebP with opacity, 1 MP': () => picture(noisyWebp(1024, 1024, 200, compressedAlpha(1024, 1024, 13))),
  'scaling, 4 MP to 224': () => scaled(2048, 2048, 224, 'lanczos'),
  'scaling, 64 x 65535 to 224': () => scaled(64, 65_535, 224, 'bilinear'),
  'WAV at 4 kHz, 938 KB': () => sound(4_000, 938_000),
  'WAV at 34,949 Hz, 8 MB': () => sound(34_949, 8_380_000),
  'WAV at 384 kHz, 8 MB': () => sound(384_000, 8_380_000),
  'CSV, 16 MB of line ends': () => table(`a\n1\n${'\n'.repeat(16 * MiB)}`),
  'CSV, 16 MB of quotes': () => table(`a\n${`"${'""'.repeat(500_000)}"\n`.repeat(16)}`),
}

console.log('what'.padEnd(34), 'CPU ms'.padStart(8), 'M steps'.padStart(9), 'ns a step'.padStart(10))
for (const [name, make] of Object.entries(READERS)) {
  const reader = make()
  let best = { ms: Number.POSITIVE_INFINITY, steps: 0 }
  for (let round = 0; round < 3; round++) {
    const meter = new StepMeter(LIMITS.decodeSteps)
    const before = process.cpuUsage()
    try {
      finish(reader(meter))
    } catch (error) {
      // What is refused is measured up to there.
      if (!isVergeError(error)) throw error
    }
    const { user, system } = process.cpuUsage(before)
    if ((user + system) / 1000 < best.ms) best = { ms: (user + system) / 1000, steps: meter.spent / 1e6 }
  }
  const { ms, steps } = best
  console.log(
    name.padEnd(34),
    ms.toFixed(0).padStart(8),
    steps.toFixed(0).padStart(9),
    (ms / steps).toFixed(2).padStart(10),
  )
}
