import type { Manifest } from '../../catalog/manifest.ts'
import { VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import { elementCount, type Tensor } from '../../core/tensors.ts'
import { StepMeter, type Work } from '../../core/work.ts'
import { preprocessing } from '../../media/image/preprocess.ts'
import { imageSettingsOf, imageTensors, pictureWork } from '../pictures/input.ts'
import { performed, type TaskModel, wrongInput } from '../task.ts'
import { type OtherSide, otherInput } from './two-encoders.ts'

/**
 * Pictures beside texts, all of one size and in one run. They are decoded within one budget of steps.
 * @throws manifest_invalid, input_too_large
 */
export function picturesSide(pictures: readonly Uint8Array[], model: TaskModel, limits: Limits): OtherSide {
  const { manifest } = model
  const spec = otherInput(manifest)
  const settings = imageSettingsOf(manifest)
  const channels = settings.mode === 'L' ? 1 : 3
  const one = settings.layout === 'NCHW' ? [channels, ...settings.size] : [...settings.size, channels]
  const shape = [pictures.length, ...one]
  const most = Math.min(
    limits.picturesPerRequest,
    Math.floor(limits.inputElements / elementCount(one)),
    fixed(spec.shape),
  )
  if (pictures.length > most) {
    throw new VergeError(
      'input_too_large',
      `A request to this model may have at most ${most} ${most === 1 ? 'picture' : 'pictures'}. Send them in several requests.`,
      { details: { limit_pictures: most } },
    )
  }
  return {
    kind: 'image',
    shape,
    async read() {
      const meter = new StepMeter(limits.decodeSteps)
      return performed(model, reading(pictures, shape, manifest, limits, meter), meter)
    },
  }
}

function fixed([batch]: readonly (number | string)[]): number {
  return typeof batch === 'number' && batch > 0 ? batch : Number.POSITIVE_INFINITY
}

function* reading(
  pictures: readonly Uint8Array[],
  shape: readonly number[],
  manifest: Manifest,
  limits: Limits,
  meter: StepMeter,
): Work<Tensor> {
  const settings = imageSettingsOf(manifest)
  const spec = otherInput(manifest)
  const parts: Float32Array[] = []
  for (const bytes of pictures) {
    const { samples } = yield* pictureWork(bytes, limits, (image) => preprocessing(image, settings, meter), meter)
    parts.push(samples)
  }
  const [only] = parts
  const all = parts.length === 1 && only !== undefined ? only : joined(parts, elementCount(shape))
  const tensor = imageTensors(all, shape, { ...manifest, inputs: [spec] }).get(spec.name)
  if (tensor === undefined) throw wrongInput(manifest, spec)
  return tensor
}

function joined(parts: readonly Float32Array[], length: number): Float32Array {
  const all = new Float32Array(length)
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}
