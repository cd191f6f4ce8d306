import type { ImageSettings } from '../../catalog/manifest.ts'
import { framing } from '../../media/image/preprocess.ts'
import type { Raster } from '../../media/image/raster.ts'

/** From pixels of a model's input to pixels of the picture that was sent, and not beyond its edges. */
export interface Place {
  x(value: number): number
  y(value: number): number
}

/** @param image with the size of the picture as it was sent. Nothing of the picture itself is kept */
export function placeIn(
  image: Pick<Raster, 'width' | 'height'> & { readonly fullWidth: number; readonly fullHeight: number },
  settings: ImageSettings,
): Place {
  const { fullWidth, fullHeight } = image
  const { scaledWidth, scaledHeight, left, top } = framing(image, settings)
  const along = (value: number, offset: number, full: number, scaled: number): number =>
    Math.min(full, Math.max(0, ((value + offset) * full) / scaled))
  return {
    x: (value) => along(value, left, fullWidth, scaledWidth),
    y: (value) => along(value, top, fullHeight, scaledHeight),
  }
}
