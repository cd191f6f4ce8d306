import type { StepMeter, Work } from '../../../core/work.ts'
import { BitReader } from '../huffman.ts'
import { damaged, incomplete } from './failures.ts'
import { readPixels } from './lossless-pixels.ts'
import { readTransform, type Transform, undo } from './lossless-transforms.ts'
import type { Size } from './lossy-header.ts'

const SIGNATURE = 0x2f

/** @throws invalid_image */
export function losslessSize(data: Uint8Array): Size {
  if (data.length < 5) throw incomplete()
  if (data[0] !== SIGNATURE) throw damaged()
  const reader = new BitReader(data.subarray(1))
  return { width: reader.take(14) + 1, height: reader.take(14) + 1 }
}

/** Decodes WebP's lossless format into four bytes a pixel: alpha, red, green, blue. @throws invalid_image */
export function* decodeLossless(data: Uint8Array, meter: StepMeter): Work<Uint32Array> {
  const { width, height } = losslessSize(data)
  const reader = new BitReader(data.subarray(1))
  // The size, and whether alpha matters, which its values say too.
  reader.take(14)
  reader.take(15)
  if (reader.take(3) !== 0) throw damaged()
  return yield* decodeStream(reader, width, height, meter)
}

/** Pixels without a header, as an alpha channel is written. */
export function* decodeStream(reader: BitReader, width: number, height: number, meter: StepMeter): Work<Uint32Array> {
  const transforms: Transform[] = []
  const seen = new Set<number>()
  let columns = width
  while (reader.take(1) === 1) {
    const kind = reader.take(2)
    if (seen.has(kind)) throw damaged()
    seen.add(kind)
    const read = yield* readTransform(reader, kind, columns, height, meter)
    transforms.push(read.transform)
    columns = read.width
  }
  let pixels = yield* readPixels(reader, columns, height, true, meter)
  for (const transform of transforms.reverse()) {
    pixels = yield* undo(transform, pixels, columns, height, meter)
    if (transform.kind === 'palette') columns = transform.width
  }
  return pixels
}
