import type { ImageSettings } from '../../catalog/manifest.ts'
import { inkToBox } from './ink.ts'
import { crop, type Raster, toGrey, toRgb } from './raster.ts'
import { resize } from './resize.ts'

export interface ImageSamples {
  readonly samples: Float32Array
  /** With a batch of one in front. */
  readonly shape: readonly number[]
}

/** A picture to a model's input, by its manifest's settings. @throws invalid_image */
export function preprocess(image: Raster, settings: ImageSettings): ImageSamples {
  const [height, width] = settings.size
  const convert = settings.mode === 'L' ? toGrey : toRgb
  return normalise(convert(fitted(convert(image), settings, width, height)), settings)
}

function fitted(image: Raster, settings: ImageSettings, width: number, height: number): Raster {
  switch (settings.fit) {
    case 'stretch':
      return resize(image, width, height)
    case 'crop':
      return centreCrop(image, settings.resize ?? Math.max(width, height), width, height)
    case 'ink':
      return inkToBox(image, width, height, settings.box ?? Math.min(width, height))
  }
}

/** The shorter side to `side`, then the middle, with torchvision's roundings. */
function centreCrop(image: Raster, side: number, width: number, height: number): Raster {
  const shorter = Math.min(image.width, image.height)
  const scaled = resize(
    image,
    image.width === shorter ? side : Math.trunc((side * image.width) / shorter),
    image.height === shorter ? side : Math.trunc((side * image.height) / shorter),
  )
  const left = roundTiesToEven((scaled.width - width) / 2)
  const top = roundTiesToEven((scaled.height - height) / 2)
  return crop(scaled, left, top, width, height)
}

function roundTiesToEven(value: number): number {
  const floor = Math.floor(value)
  return value - floor === 0.5 ? floor + (floor % 2 === 0 ? 0 : 1) : Math.round(value)
}

function normalise(image: Raster, settings: ImageSettings): ImageSamples {
  const { width, height, channels, data } = image
  const { rescale, mean, std, layout } = settings
  const samples = new Float32Array(data.length)
  const pixels = width * height
  for (let channel = 0; channel < channels; channel++) {
    const shift = mean?.[channel] ?? mean?.[0] ?? 0
    const divisor = std?.[channel] ?? std?.[0] ?? 1
    for (let i = 0; i < pixels; i++) {
      const value = ((data[i * channels + channel] ?? 0) * rescale - shift) / divisor
      samples[layout === 'NCHW' ? channel * pixels + i : i * channels + channel] = value
    }
  }
  const shape = layout === 'NCHW' ? [1, channels, height, width] : [1, height, width, channels]
  return { samples, shape }
}
