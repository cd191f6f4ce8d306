import type { ImageSettings } from '../../catalog/manifest.ts'
import type { StepMeter, Work } from '../../core/work.ts'
import { inking } from './ink.ts'
import { paste, type Raster, toGrey, toRgb } from './raster.ts'
import { resizing } from './resize.ts'

export interface ImageSamples {
  readonly samples: Float32Array
  /** With a batch of one in front. */
  readonly shape: readonly number[]
}

/** Where a model's input lies in a picture that has been scaled: beyond its edges is padding. */
export interface Framing {
  readonly scaledWidth: number
  readonly scaledHeight: number
  readonly left: number
  readonly top: number
}

/** A picture to a model's input, by its manifest's settings. @throws invalid_image, input_too_large */
export function* preprocessing(image: Raster, settings: ImageSettings, meter: StepMeter): Work<ImageSamples> {
  return normalize(yield* fitting(image, settings, meter), settings)
}

/** A picture in a model's mode and size, still in samples of 0 to 255. @throws invalid_image, input_too_large */
export function* fitting(image: Raster, settings: ImageSettings, meter: StepMeter): Work<Raster> {
  const [height, width] = settings.size
  const convert = settings.mode === 'L' ? toGrey : toRgb
  const own = convert(image)
  if (settings.fit === 'mnist') {
    return convert(yield* inking(own, width, height, settings.box ?? Math.min(width, height), meter))
  }
  const { scaledWidth, scaledHeight, left, top } = framing(image, settings)
  const inner = {
    left: Math.max(0, left),
    top: Math.max(0, top),
    width: Math.min(scaledWidth, left + width) - Math.max(0, left),
    height: Math.min(scaledHeight, top + height) - Math.max(0, top),
  }
  const scaled = yield* resizing(own, scaledWidth, scaledHeight, settings.resample, meter, inner)
  if (scaled.width === width && scaled.height === height) return scaled
  return paste(scaled, Math.max(0, -left), Math.max(0, -top), width, height, settings.pad ?? 0)
}

/** How a picture of a size is scaled and cut; for `mnist`, which looks at the picture, as if it were stretched. */
export function framing({ width, height }: Pick<Raster, 'width' | 'height'>, settings: ImageSettings): Framing {
  const [toHeight, toWidth] = settings.size
  switch (settings.fit) {
    case 'crop':
      return centreCrop(width, height, settings.resize ?? Math.max(toWidth, toHeight), toWidth, toHeight)
    case 'letterbox':
      return letterbox(width, height, toWidth, toHeight)
    default:
      return { scaledWidth: toWidth, scaledHeight: toHeight, left: 0, top: 0 }
  }
}

/**
 * The shorter side to `side`, or both to [height, width], then the middle. Where the middle does not begin on a whole
 * pixel, the crop begins at the one before, as transformers' processors have it; torchvision's own rounds halves to even
 * numbers.
 */
function centreCrop(
  width: number,
  height: number,
  side: NonNullable<ImageSettings['resize']>,
  toWidth: number,
  toHeight: number,
): Framing {
  const shorter = Math.min(width, height)
  const along = (length: number, side: number): number =>
    length === shorter ? side : Math.trunc((side * length) / shorter)
  const [scaledHeight, scaledWidth] = typeof side === 'number' ? [along(height, side), along(width, side)] : side
  return {
    scaledWidth,
    scaledHeight,
    left: Math.floor((scaledWidth - toWidth) / 2),
    top: Math.floor((scaledHeight - toHeight) / 2),
  }
}

/** All of the picture in the middle, with the roundings of the YOLO family's own tools. */
function letterbox(width: number, height: number, toWidth: number, toHeight: number): Framing {
  const scale = Math.min(toWidth / width, toHeight / height)
  const scaledWidth = Math.max(1, Math.min(toWidth, Math.round(width * scale)))
  const scaledHeight = Math.max(1, Math.min(toHeight, Math.round(height * scale)))
  const margin = (space: number): number => Math.max(0, Math.round(space / 2 - 0.1))
  return { scaledWidth, scaledHeight, left: -margin(toWidth - scaledWidth), top: -margin(toHeight - scaledHeight) }
}

/** Samples of 0 to 255 to what a model takes. */
export function normalize(image: Raster, settings: ImageSettings): ImageSamples {
  const { width, height, channels, data } = image
  const { mode, rescale, mean, std, layout } = settings
  const samples = new Float32Array(data.length)
  const pixels = width * height
  for (let channel = 0; channel < channels; channel++) {
    const shift = mean?.[channel] ?? mean?.[0] ?? 0
    const divisor = std?.[channel] ?? std?.[0] ?? 1
    const from = mode === 'BGR' ? channels - 1 - channel : channel
    for (let i = 0; i < pixels; i++) {
      const value = ((data[i * channels + from] ?? 0) * rescale - shift) / divisor
      samples[layout === 'NCHW' ? channel * pixels + i : i * channels + channel] = value
    }
  }
  const shape = layout === 'NCHW' ? [1, channels, height, width] : [1, height, width, channels]
  return { samples, shape }
}
