import { VergeError } from '../../core/errors.ts'
import { type StepMeter, tooManySteps, type Work } from '../../core/work.ts'
import { crop, type Raster, toGrey } from './raster.ts'
import { resizing } from './resize.ts'

/**
 * Finds a drawn sign in any picture, dark on light or light on dark, and puts it into a small square as MNIST's makers
 * did: scaled, keeping its shape, so that its longer side is `box` pixels, and moved so that its centre of mass lies in
 * the middle. A picture that is in that form already comes out as it went in.
 */

/** Pictures are looked over at this size at most: noise is averaged out, and the search costs the same for all. */
const THUMBNAIL_SIDE = 256
/** Least difference of grey levels between ink and ground that is taken for ink and not for grain. */
const LEAST_CONTRAST = 16
/** Part of the ink's full strength from which a pixel of a survey belongs to the sign. */
const EDGE = 0.3
/** Connected pieces with less ink than this part of the largest are dust. */
const DUST = 0.05

/** Ink of a picture: 0 is ground, 255 the full strength of the pen. */
interface Ink {
  readonly width: number
  readonly height: number
  readonly data: Uint8Array
}

interface Box {
  readonly left: number
  readonly top: number
  readonly width: number
  readonly height: number
}

/** How a picture's grey levels become ink. */
interface Stroke {
  readonly ground: number
  /** 1 for light on dark, -1 for dark on light. */
  readonly polarity: 1 | -1
  /** Differences up to this are the ground's own. */
  readonly floor: number
  readonly peak: number
}

/** Steps of a pixel that is looked over, of one that is cut out, and of one that is turned into ink. */
const PIXEL = 10

const refusal = tooManySteps('Finding the drawing in this image', 'Send a smaller image')

/**
 * @param width @param height of the result
 * @returns light on dark, one channel
 * @throws invalid_image if there is nothing drawn, input_too_large
 */
export function* normalizingGlyph(
  image: Raster,
  width: number,
  height: number,
  box: number,
  meter: StepMeter,
): Work<Raster> {
  const pixels = image.width * image.height
  meter.require(3 * pixels * PIXEL, refusal)
  const grey = toGrey(image)
  meter.spend(pixels * PIXEL, refusal)
  yield meter.piece()
  // A picture no larger than the result is exact: its faintest pixel counts, and none of it is dust.
  const exact = grey.width <= width && grey.height <= height
  const thumbnail = yield* thumbnailOf(grey, meter)
  const stroke = findStroke(thumbnail, exact)
  const rough = locate(grey, thumbnail, stroke, exact)
  const around = enlarge(rough, grey)
  const near = crop(grey, around.left, around.top, around.width, around.height)
  meter.spend(pixels * PIXEL, refusal)
  yield meter.piece()
  // Near by, the survey is finer: what was a coarse box over a large picture becomes a tight one.
  const tight = locate(near, yield* thumbnailOf(near, meter), stroke, exact)
  const sign = toInk(crop(near, tight.left, tight.top, tight.width, tight.height), stroke)
  meter.spend(pixels * PIXEL, refusal)
  yield meter.piece()

  const scale = box / Math.max(sign.width, sign.height)
  const [scaledWidth, scaledHeight] = [sign.width, sign.height].map((side) => Math.max(1, Math.round(side * scale)))
  const picture = { ...sign, channels: 1 } as const
  const scaled = yield* resizing(picture, scaledWidth ?? 1, scaledHeight ?? 1, 'bilinear', meter)
  return centreByMass(stretch(scaled), width, height)
}

function thumbnailOf(grey: Raster, meter: StepMeter): Work<Raster> {
  const shrink = Math.min(1, THUMBNAIL_SIDE / Math.max(grey.width, grey.height))
  const width = Math.max(1, Math.round(grey.width * shrink))
  return resizing(grey, width, Math.max(1, Math.round(grey.height * shrink)), 'bilinear', meter)
}

/** The sign's box in a picture, found in its survey. */
function locate(grey: Raster, thumbnail: Raster, stroke: Stroke, exact: boolean): Box {
  const found = boundingBox(toInk(thumbnail, stroke), exact ? 1 : Math.round(EDGE * 255), exact ? 0 : DUST)
  const scaleX = grey.width / thumbnail.width
  const scaleY = grey.height / thumbnail.height
  const left = Math.floor(found.left * scaleX)
  const top = Math.floor(found.top * scaleY)
  const right = Math.min(grey.width, Math.ceil((found.left + found.width) * scaleX))
  const bottom = Math.min(grey.height, Math.ceil((found.top + found.height) * scaleY))
  return { left, top, width: right - left, height: bottom - top }
}

function blankImage(): VergeError {
  return new VergeError('invalid_image', 'The image is blank. Send an image with a drawing.')
}

/** The ground is the border's median; the ink is on the side of it on which the picture differs more. */
function findStroke(grey: Raster, exact: boolean): Stroke {
  const { data } = grey
  const border = borderPixels(grey).sort()
  const ground = border[border.length >> 1] ?? 0
  const deviations = border.map((sample) => Math.abs(sample - ground)).sort()
  // By the median: ink that touches the border for less than half its length does not raise it.
  const floor = 3 * (deviations[deviations.length >> 1] ?? 0)
  let lighter = 0
  let darker = 0
  for (const sample of data) {
    const difference = sample - ground
    if (difference > floor) lighter += difference * difference
    else if (-difference > floor) darker += difference * difference
  }
  const sign = lighter >= darker ? 1 : -1
  const strengths = new Uint32Array(256)
  for (const sample of data) {
    const strength = sign * (sample - ground)
    if (strength > floor) strengths[strength] = (strengths[strength] ?? 0) + 1
  }
  const peak = exact ? strengths.findLastIndex((count) => count > 0) : peakOf(strengths)
  if (peak < LEAST_CONTRAST) throw blankImage()
  return { ground, polarity: sign, floor, peak }
}

/** The strength that all but the strongest fiftieth of the ink stays under, so that a glint does not set the scale. */
function peakOf(strengths: Uint32Array): number {
  const greatest = strengths.findLastIndex((count) => count > 0)
  if (greatest < 0) return 0
  const strong = strengths.subarray(greatest >> 1)
  let left = strong.reduce((sum, count) => sum + count, 0) * 0.02
  for (let strength = greatest; strength > 0; strength--) {
    left -= strengths[strength] ?? 0
    if (left < 0) return strength
  }
  return greatest
}

function borderPixels({ width, height, data }: Raster): Uint8Array {
  const border: number[] = []
  for (let x = 0; x < width; x++) border.push(data[x] ?? 0, data[(height - 1) * width + x] ?? 0)
  for (let y = 1; y < height - 1; y++) border.push(data[y * width] ?? 0, data[y * width + width - 1] ?? 0)
  return Uint8Array.from(border)
}

function toInk({ width, height, data }: Raster, { ground, polarity, floor, peak }: Stroke): Ink {
  const table = Uint8ClampedArray.from({ length: 256 }, (_, sample) => {
    return ((polarity * (sample - ground) - floor) / (peak - floor)) * 255
  })
  return { width, height, data: data.map((sample) => table[sample] ?? 0) }
}

/** The box around all connected pieces of ink of at least `threshold` that are not dust. */
function boundingBox({ width, height, data }: Ink, threshold: number, dust: number): Box {
  const pieces: { box: [number, number, number, number]; mass: number }[] = []
  const seen = new Uint8Array(data.length)
  const stack: number[] = []
  for (let start = 0; start < data.length; start++) {
    if (seen[start] === 1 || (data[start] ?? 0) < threshold) continue
    const box: [number, number, number, number] = [width, height, 0, 0]
    let mass = 0
    seen[start] = 1
    stack.push(start)
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      const x = at % width
      const y = (at - x) / width
      mass += data[at] ?? 0
      box[0] = Math.min(box[0], x)
      box[1] = Math.min(box[1], y)
      box[2] = Math.max(box[2], x)
      box[3] = Math.max(box[3], y)
      for (let ny = Math.max(0, y - 1); ny <= Math.min(height - 1, y + 1); ny++) {
        for (let nx = Math.max(0, x - 1); nx <= Math.min(width - 1, x + 1); nx++) {
          const neighbour = ny * width + nx
          if (seen[neighbour] === 1 || (data[neighbour] ?? 0) < threshold) continue
          seen[neighbour] = 1
          stack.push(neighbour)
        }
      }
    }
    pieces.push({ box, mass })
  }
  const heaviest = pieces.reduce((most, { mass }) => Math.max(most, mass), 0)
  if (heaviest === 0) throw blankImage()
  const kept = pieces.filter(({ mass }) => mass >= dust * heaviest).map(({ box }) => box)
  const left = kept.reduce((least, box) => Math.min(least, box[0]), width)
  const top = kept.reduce((least, box) => Math.min(least, box[1]), height)
  const right = kept.reduce((most, box) => Math.max(most, box[2]), 0)
  const bottom = kept.reduce((most, box) => Math.max(most, box[3]), 0)
  return { left, top, width: right - left + 1, height: bottom - top + 1 }
}

/** A box with a margin of an eighth of its longer side. */
function enlarge(box: Box, within: Raster): Box {
  const margin = Math.ceil(Math.max(box.width, box.height) / 8)
  const left = Math.max(0, box.left - margin)
  const top = Math.max(0, box.top - margin)
  const right = Math.min(within.width, box.left + box.width + margin)
  const bottom = Math.min(within.height, box.top + box.height + margin)
  return { left, top, width: right - left, height: bottom - top }
}

/** A thin line fades when it is shrunk; what is left is brought back to full strength. */
function stretch(image: Raster): Raster {
  const greatest = image.data.reduce((most, sample) => Math.max(most, sample), 0)
  if (greatest === 0) throw blankImage()
  return { ...image, data: image.data.map((sample) => Math.round((sample * 255) / greatest)) }
}

/** Pastes by whole pixels; a sign too large for the square to hold it centred is moved inwards. */
function centreByMass({ width, height, data }: Raster, outWidth: number, outHeight: number): Raster {
  let mass = 0
  let momentX = 0
  let momentY = 0
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const sample = data[y * width + x] ?? 0
      mass += sample
      momentX += sample * x
      momentY += sample * y
    }
  }
  // MNIST's centres of mass lie at pixel 14.0 of 28, counted from 0 at the first pixel's centre.
  const left = within(Math.round(outWidth / 2 - momentX / mass), outWidth - width)
  const top = within(Math.round(outHeight / 2 - momentY / mass), outHeight - height)
  return crop({ width, height, channels: 1, data }, -left, -top, outWidth, outHeight)
}

function within(offset: number, room: number): number {
  return Math.min(Math.max(offset, Math.min(0, room)), Math.max(0, room))
}
