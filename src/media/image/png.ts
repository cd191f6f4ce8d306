import { VergeError } from '../../core/errors.ts'
import { type StepMeter, tooManySteps, type Work } from '../../core/work.ts'
import { inflate } from './inflate.ts'
import { converter, GREY, GREY_ALPHA, PALETTE, RGB, RGB_ALPHA } from './png-pixels.ts'
import { orientationOf, type Raster } from './raster.ts'
import { RowAverager } from './row-averager.ts'

/**
 * PNG (ISO/IEC 15948): every colour type, bit depth and interlacing, to 8-bit grey or RGB over white.
 *
 * Rows are unfiltered and converted as they come out of the inflater, so that the picture is held once, or, where it is
 * decoded smaller, not even that. 16-bit samples keep their high byte, as libpng and Pillow do. Gamma and colour profiles
 * are not applied. Of an animated PNG, the picture that everything else shows too. An eXIf
 * chunk's orientation is told.
 */

export const PNG_SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a] as const

/** Samples a pixel, and bit depths allowed, by colour type. */
const COLOUR_TYPES: Readonly<Record<number, { readonly samples: number; readonly depths: readonly number[] }>> = {
  [GREY]: { samples: 1, depths: [1, 2, 4, 8, 16] },
  [RGB]: { samples: 3, depths: [8, 16] },
  [PALETTE]: { samples: 1, depths: [1, 2, 4, 8] },
  [GREY_ALPHA]: { samples: 2, depths: [8, 16] },
  [RGB_ALPHA]: { samples: 4, depths: [8, 16] },
}

export interface PngHeader {
  readonly width: number
  readonly height: number
  readonly depth: number
  readonly colour: number
  readonly interlaced: boolean
}

interface Chunks {
  readonly palette: Uint8Array | undefined
  readonly transparency: Uint8Array | undefined
  readonly exif: Uint8Array | undefined
  /** Of all IDAT chunks together. */
  readonly data: Uint8Array
}

/** The seven passes of Adam7 as [first column, first row, column step, row step]. */
const ADAM7 = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const

function broken(what: string): VergeError {
  return new VergeError('invalid_image', `The PNG cannot be read: ${what}.`)
}

/** Reads the header alone. @throws invalid_image */
export function readPngHeader(bytes: Uint8Array): PngHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  // Signature (8), chunk length (4), "IHDR" (4), thirteen bytes of fields.
  if (bytes.length < 29) throw broken('it ends inside its header')
  if (view.getUint32(8) !== 13 || view.getUint32(12) !== 0x49484452) throw broken('it does not begin with its header')
  const width = view.getUint32(16)
  const height = view.getUint32(20)
  const depth = view.getUint8(24)
  const colour = view.getUint8(25)
  if (!COLOUR_TYPES[colour]?.depths.includes(depth))
    throw broken(`colour type ${colour} with ${depth} bits does not exist`)
  if (view.getUint8(26) !== 0 || view.getUint8(27) !== 0) throw broken('its compression or filter method is unknown')
  const interlace = view.getUint8(28)
  if (interlace > 1) throw broken('its interlacing is unknown')
  return { width, height, depth, colour, interlaced: interlace === 1 }
}

/** Bytes of a picture's rows before they are compressed, filter types not counted. */
export function pngRowBytes(header: PngHeader): number {
  return Math.ceil((header.width * bitsOf(header)) / 8) * header.height
}

/** Steps (docs/limits.md), measured with the costliest content of each kind. */
const CHUNK = 60
const COMPRESSED_BYTE = 14
/** A byte of a row: copied out of the inflater, unfiltered. */
const ROW_BYTE = 4
const PIXEL = 12
const ROW = 250

const refusal = tooManySteps('This PNG', 'Send a smaller image')

/**
 * @param header of the same bytes, its size checked by the caller
 * @param reduction averages squares of so many pixels a side; only where it is not interlaced
 * @throws invalid_image, input_too_large
 */
export function* decodePng(
  bytes: Uint8Array,
  header: PngHeader,
  reduction: number,
  meter: StepMeter,
): Work<{ readonly raster: Raster; readonly orientation: number }> {
  const { width, height, depth, colour } = header
  const rows = passesOf(header)
  const total = rows.reduce((sum, pass) => sum + pass.count * (pass.bytes + 1), 0)
  const count = rows.reduce((sum, pass) => sum + pass.count, 0)
  meter.require(
    total * ROW_BYTE + width * height * PIXEL + count * ROW + bytes.length * COMPRESSED_BYTE,
    tooManySteps(`This PNG (${width} x ${height} pixels of ${bitsOf(header)} bits)`, 'Send a smaller image'),
  )
  yield meter.piece()
  const chunks = readChunks(bytes, meter)
  if (colour === PALETTE && chunks.palette === undefined) throw broken('it has no palette')
  const channels = colour === GREY || colour === GREY_ALPHA ? 1 : 3
  const averager = reduction === 1 ? undefined : new RowAverager(width, height, channels, reduction)
  const data = averager === undefined ? new Uint8Array(width * height * channels) : averager.row
  const convert = converter(depth, colour, chunks.palette, chunks.transparency)

  let passIndex = 0
  let y = 0
  let filled = 0
  let row = new Uint8Array((rows[0]?.bytes ?? 0) + 1)
  let above = new Uint8Array(row.length)
  const bytesPerPixel = Math.max(1, bitsOf(header) >> 3)
  const compressed = chunks.data
  // What unpacking costs lies in the data that come in, and is counted as they come out.
  const unpacking = (compressed.length * COMPRESSED_BYTE) / total
  const take = (piece: Uint8Array): void => {
    meter.spend(piece.length * unpacking, refusal)
    for (let at = 0; at < piece.length; ) {
      const pass = rows[passIndex]
      if (pass === undefined) return
      const taken = Math.min(row.length - filled, piece.length - at)
      row.set(piece.subarray(at, at + taken), filled)
      filled += taken
      at += taken
      if (filled < row.length) return
      unfilter(row, above, bytesPerPixel)
      const first = ((pass.y0 + y * pass.dy) * width + pass.x0) * channels
      convert(row, pass.columns, data, averager === undefined ? first : 0, pass.dx * channels)
      averager?.add()
      meter.spend(ROW + row.length * ROW_BYTE + pass.columns * PIXEL, refusal)
      ;[row, above] = [above, row]
      filled = 0
      if (++y === pass.count) {
        y = 0
        passIndex++
        row = new Uint8Array((rows[passIndex]?.bytes ?? 0) + 1)
        above = new Uint8Array(row.length)
      }
    }
  }
  yield* inflate(compressed, total, take, meter)
  const raster = averager === undefined ? { width, height, channels, data } : averager.finish()
  return { raster: raster as Raster, orientation: orientationOf(chunks.exif) }
}

function bitsOf({ depth, colour }: PngHeader): number {
  return depth * (COLOUR_TYPES[colour]?.samples ?? 1)
}

/** The passes that hold pixels: where their rows lie, how many there are, and the bytes of each without its filter. */
function passesOf(header: PngHeader) {
  const { width, height, interlaced } = header
  const passes = interlaced ? ADAM7 : [[0, 0, 1, 1] as const]
  return passes.flatMap(([x0, y0, dx, dy]) => {
    const columns = Math.ceil((width - x0) / dx)
    const count = Math.ceil((height - y0) / dy)
    return columns > 0 && count > 0
      ? [{ x0, y0, dx, dy, columns, count, bytes: Math.ceil((columns * bitsOf(header)) / 8) }]
      : []
  })
}

const PLTE = 0x504c5445
const TRNS = 0x74524e53
const IDAT = 0x49444154
const EXIF = 0x65584966
const IEND = 0x49454e44

function readChunks(bytes: Uint8Array, meter: StepMeter): Chunks {
  let palette: Uint8Array | undefined
  let transparency: Uint8Array | undefined
  let exif: Uint8Array | undefined
  let pieces = 0
  let total = 0
  let data = bytes.subarray(0, 0)
  eachChunk(bytes, (type, from, to) => {
    meter.spend(CHUNK, refusal)
    if (type === PLTE) palette = bytes.subarray(from, to)
    else if (type === TRNS) transparency = bytes.subarray(from, to)
    else if (type === EXIF) exif = bytes.subarray(from, to)
    else if (type === IDAT && to > from) {
      if (++pieces === 1) data = bytes.subarray(from, to)
      total += to - from
    }
  })
  return { palette, transparency, exif, data: pieces > 1 ? joinedData(bytes, total) : data }
}

/** The data of a file that has them in pieces. They are found again, because a view of each may take more than they do. */
function joinedData(bytes: Uint8Array, total: number): Uint8Array {
  const whole = new Uint8Array(total)
  let at = 0
  eachChunk(bytes, (type, from, to) => {
    if (type !== IDAT) return
    // A piece may be a byte long, and a view costs more than copying so few.
    if (to - from > 64) whole.set(bytes.subarray(from, to), at)
    else for (let i = from; i < to; i++) whole[at + i - from] = bytes[i] ?? 0
    at += to - from
  })
  return whole
}

/**
 * Tells every chunk's type and where its content lies, up to the end of the picture. The last one may be cut off: whether
 * enough of it is there, the inflater finds out.
 */
function eachChunk(bytes: Uint8Array, use: (type: number, from: number, to: number) => void): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at: number = PNG_SIGNATURE.length; at + 8 <= bytes.length; ) {
    const length = view.getUint32(at)
    const type = view.getUint32(at + 4)
    if (type === IEND) return
    use(type, at + 8, Math.min(bytes.length, at + 8 + length))
    at += 12 + length
  }
}

/** Undoes a row's filter in place. Byte 0 is the filter's type; `above` is the row before, unfiltered. */
function unfilter(row: Uint8Array, above: Uint8Array, step: number): void {
  const type = row[0]
  // The first pixel has none to its left.
  const second = Math.min(row.length, step + 1)
  switch (type) {
    case 0:
      return
    case 1:
      for (let i = second; i < row.length; i++) row[i] = (row[i] ?? 0) + (row[i - step] ?? 0)
      return
    case 2:
      for (let i = 1; i < row.length; i++) row[i] = (row[i] ?? 0) + (above[i] ?? 0)
      return
    case 3:
      for (let i = 1; i < second; i++) row[i] = (row[i] ?? 0) + ((above[i] ?? 0) >> 1)
      for (let i = second; i < row.length; i++) {
        row[i] = (row[i] ?? 0) + (((row[i - step] ?? 0) + (above[i] ?? 0)) >> 1)
      }
      return
    case 4:
      for (let i = 1; i < second; i++) row[i] = (row[i] ?? 0) + (above[i] ?? 0)
      for (let i = second; i < row.length; i++) {
        row[i] = (row[i] ?? 0) + paeth(row[i - step] ?? 0, above[i] ?? 0, above[i - step] ?? 0)
      }
      return
    default:
      throw broken('a row has an unknown filter')
  }
}

/** Whichever of the three is nearest to left + up - corner. */
function paeth(left: number, up: number, corner: number): number {
  const toLeft = Math.abs(up - corner)
  const toUp = Math.abs(left - corner)
  const toCorner = Math.abs(left + up - 2 * corner)
  if (toLeft <= toUp && toLeft <= toCorner) return left
  return toUp <= toCorner ? up : corner
}
