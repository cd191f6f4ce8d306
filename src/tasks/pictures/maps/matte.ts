import type { Manifest } from '../../../catalog/manifest.ts'
import type { MatteSettings } from '../../../catalog/settings/segmentation.ts'
import type { Tensors } from '../../../core/tensors.ts'
import type { StepMeter, Work } from '../../../core/work.ts'
import { axisOf } from '../../../media/image/axis.ts'
import { interpolating, type Planes, refuseMap } from '../../../media/image/planes.ts'
import { singlePlane } from './dense-output.ts'
import type { MapFrame } from './map.ts'

/** Numbers this far outside of 0 to 1 are rounding, not a sign that the sigmoid is missing. */
const ROUNDING = 1e-5
/** Steps (docs/limits.md): of a number that becomes a share, and of a level that is written. */
const SHARED = 12
const LEVEL = 3

/**
 * How opaque each pixel is, from 0 to 255, in the size of the answer.
 * @throws manifest_invalid, run_rejected, input_too_large
 */
export function* matting(
  outputs: Tensors,
  settings: MatteSettings,
  frame: Pick<MapFrame, 'width' | 'height' | 'across' | 'down'>,
  manifest: Manifest,
  meter: StepMeter,
): Work<Uint8Array<ArrayBuffer>> {
  const plane = singlePlane(outputs, settings.output, 'alphas', manifest)
  const [across, down] = [axisOf(plane.width, frame.across), axisOf(plane.height, frame.down)]
  meter.spend(plane.data.length * SHARED, refuseMap)
  yield meter.piece()
  const shares: Planes = { ...plane, data: sharesOf(plane.data, settings) }
  const levels = yield* interpolating(shares, 0, across, down, meter)
  meter.spend(levels.length * LEVEL, refuseMap)
  yield meter.piece()
  return new Uint8Array(Uint8ClampedArray.from(levels).buffer)
}

/** From 0 to 255. */
function sharesOf(data: Planes['data'], { activation, normalize }: MatteSettings): Float32Array {
  const raw = activation === 'auto' && data.some((value) => value < -ROUNDING || value > 1 + ROUNDING)
  const sigmoid = activation === 'sigmoid' || (raw && !normalize)
  const shares = Float32Array.from(data)
  if (sigmoid) for (let i = 0; i < shares.length; i++) shares[i] = 1 / (1 + Math.exp(-(shares[i] ?? 0)))
  let [least, most] = [0, 1]
  if (normalize) {
    least = shares.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY)
    most = shares.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
  }
  const scale = most > least ? 255 / (most - least) : 0
  for (let i = 0; i < shares.length; i++) shares[i] = ((shares[i] ?? 0) - least) * scale
  return shares
}
