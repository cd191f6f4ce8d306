import { existsSync } from 'node:fs'
import { basename } from 'node:path'
import { encodePng } from '../../media/image/png-encode.ts'
import { badSamples, type Items } from './items.ts'

/** The name of the images' file; the labels' differs in these places. */
const IMAGES = /images([-.]?)idx3/

export function isIdx(path: string): boolean {
  return IMAGES.test(basename(path))
}

/**
 * Grey pictures in MNIST's format, with the labels beside them where `...-labels-idx1-...` exists. They come as PNGs,
 * so that they go the way that a picture goes when the model is served.
 */
export async function* idxImages(path: string, read: (path: string) => Promise<Uint8Array>): Items {
  const name = basename(path)
  const { sizes, data } = parseIdx(await read(path), 3, name)
  const [count, height, width] = sizes as [number, number, number]
  const beside = path.slice(0, -name.length) + name.replace(IMAGES, 'labels$1idx1')
  const labels = existsSync(beside) ? parseIdx(await read(beside), 1, basename(beside)) : undefined
  if (labels !== undefined && labels.sizes[0] !== count) {
    throw badSamples(basename(beside), `it has ${labels.sizes[0]} labels for ${count} images.`)
  }
  const pixels = width * height
  for (let index = 0; index < count; index++) {
    yield {
      where: `${name} picture ${index}`,
      read: async () => {
        const picture = data.subarray(index * pixels, (index + 1) * pixels)
        const bytes = await encodePng({ width, height, channels: 1, data: picture })
        const label = labels?.data[index]
        return { content: { kind: 'bytes', mediaType: 'image/png', bytes }, ...(label !== undefined && { label }) }
      },
    }
  }
}

/** An IDX file of bytes: two zeros, the type 8, the rank, the sizes big-endian, the data. */
export function parseIdx(
  bytes: Uint8Array,
  rank: number,
  name: string,
): { readonly sizes: number[]; readonly data: Uint8Array } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length < 4 + 4 * rank || view.getUint32(0) !== 0x0800 + rank) {
    throw badSamples(name, `it is not an IDX file of bytes with ${rank} dimension${rank === 1 ? '' : 's'}.`)
  }
  const sizes = Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis))
  const data = bytes.subarray(4 + 4 * rank)
  if (data.length !== sizes.reduce((product, size) => product * size, 1)) {
    throw badSamples(name, `its header declares [${sizes.join(', ')}], but ${data.length} bytes follow.`)
  }
  return { sizes, data }
}
