import { encodePng } from '../../../src/media/image/png-encode.ts'
import { MEDIA_MODELS } from '../../fixtures/media-models.ts'
import type { CompatibilityModel } from '../row.ts'

/** One of the models whose answers a person can foretell, with its settings as a verge.json has them. */
function pictureModel(name: string): () => Promise<CompatibilityModel> {
  return async () => {
    const found = MEDIA_MODELS.find((model) => model.name === name)
    if (found === undefined) throw new Error(`There is no model "${name}".`)
    const { image, segmentation, ...extra } = found.extra
    return {
      settings: { ...extra, preprocess: { image }, ...(segmentation && { postprocess: { segmentation } }) },
      files: new Map([['model.onnx', found.model]]),
    }
  }
}

export const models = {
  hues: pictureModel('hues'),
  'bright-parts': pictureModel('bright-parts'),
  'bright-near': pictureModel('bright-near'),
}

export const samples = {
  'colours.png': () => {
    const data = Uint8Array.from({ length: 3 * 90 * 60 }, (_, i) =>
      i % 3 === Math.floor(((i / 3) % 90) / 30) ? 220 : 30,
    )
    return encodePng({ width: 90, height: 60, channels: 3, data })
  },
}
