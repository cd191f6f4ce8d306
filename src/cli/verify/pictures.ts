import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { decodeImage } from '../../media/image/decode.ts'
import { type Raster, toRgb } from '../../media/image/raster.ts'
import { PACKAGE } from '../files/project.ts'

/** A picture's samples, 0 to 255, by the place of a pixel and the channel: 0 red, 1 green, 2 blue. */
export type Pixels = (y: number, x: number, channel: number) => number

const FOLDER = join(PACKAGE, 'models/digits/samples')
/** Handwriting on paper, and digits of MNIST, which are white on black. */
const FILES = [
  { name: 'photo.png', inverted: false },
  { name: 'two.png', inverted: true },
  { name: 'five.png', inverted: true },
  { name: 'seven.png', inverted: true },
]

/** Pixels of the pictures that ship, and more. */
const LARGEST = 1024 * 1024

/** Minimum size of readable digits, in pixels. */
const SMALLEST = 16

let sources: readonly Raster[] | undefined

/**
 * A page of handwriting, made of the pictures that ship with Verge: what detectors of texts and of shapes see something
 * in, where they see nothing in noise. Pages of other indices have other digits, in other sizes: one to sixteen of them
 * fill a page's shorter side.
 */
export function page(index: number, height: number, width: number): Pixels {
  sources ??= FILES.map(read)
  const pictures = sources
  const side = Math.min(height, width)
  const tile = Math.max(Math.min(side, SMALLEST), Math.floor(side / 2 ** (index % 5)))
  return (y, x, channel) => {
    const source = pictures[(index + Math.floor(y / tile) + 3 * Math.floor(x / tile)) % pictures.length] as Raster
    const row = Math.floor(((y % tile) * source.height) / tile)
    const column = Math.floor(((x % tile) * source.width) / tile)
    return source.data[3 * (row * source.width + column) + Math.min(channel, 2)] ?? 0
  }
}

function read({ name, inverted }: (typeof FILES)[number]): Raster {
  const bytes = new Uint8Array(readFileSync(join(FOLDER, name)))
  const picture = toRgb(decodeImage(bytes, { maxPixels: LARGEST, maxScans: 1 }))
  return inverted ? { ...picture, data: picture.data.map((value) => 255 - value) } : picture
}
