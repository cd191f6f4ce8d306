import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'

/** Bytes of a file, as it is and compressed. */
export interface Sizes {
  readonly bytes: number
  readonly gzip: number
  readonly brotli: number
}

/** The usual level for static files; higher levels take minutes for a large model and gain one percent. */
const GZIP_LEVEL = 6
const BROTLI_QUALITY = 5

/** Measures a file on disk and after compression, on other threads than this. */
export async function sizesOf(bytes: Uint8Array): Promise<Sizes> {
  const [zipped, brotli] = await Promise.all([
    promisify(gzip)(bytes, { level: GZIP_LEVEL }),
    promisify(brotliCompress)(bytes, {
      params: {
        [constants.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY,
        [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
        [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
      },
    }),
  ])
  return { bytes: bytes.length, gzip: zipped.length, brotli: brotli.length }
}
