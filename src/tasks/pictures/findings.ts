import * as z from 'zod'
import type { ImageSettings, Manifest } from '../../catalog/manifest.ts'
import { VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import type { Tensors } from '../../core/tensors.ts'
import { inputSize, preprocessing } from '../../media/image/preprocess.ts'
import type { TaskModel } from '../task.ts'
import { imageSettingsOf, imageTensors, readPicture } from './input.ts'
import { type Place, placeIn } from './place.ts'

/** Tasks that find things in a picture: how the picture is read, and where what was found lies in it. */

const pixel = z.number().int()

/** In whole pixels of the picture that was sent, as it is to be seen. */
export const boxSchema = z.object({ xmin: pixel, ymin: pixel, xmax: pixel, ymax: pixel })
export type Box = z.infer<typeof boxSchema>

/** What such a task takes of a picture. */
export interface Framed {
  readonly inputs: Tensors
  /** [height, width] of the model's input. */
  readonly size: readonly [number, number]
  readonly place: Place
}

/**
 * How the model's manifest makes a tensor of a picture, beside the task's own settings.
 * @param found what the task finds, and the settings of it in a verge.json
 * @throws manifest_invalid
 */
export function findingSettings<Settings>(
  manifest: Manifest,
  own: Settings | undefined,
  found: 'detection' | 'keypoint',
  field: string,
): { readonly settings: ImageSettings; readonly own: Settings } {
  const settings = imageSettingsOf(manifest)
  if (own !== undefined && settings.fit !== 'mnist') return { settings, own }
  throw new VergeError(
    'manifest_invalid',
    `Model "${manifest.model}" version "${manifest.version}" has no ${found} settings. Set "${field}" in its verge.json and push it again.`,
  )
}

/** Decodes a picture to the model's inputs. @throws what `readPicture` and `imageTensors` throw */
export async function readFramed(
  model: TaskModel,
  bytes: Uint8Array,
  settings: ImageSettings,
  limits: Limits,
): Promise<Framed> {
  const { samples, shape, size, place } = await readPicture(model, bytes, limits, function* (image, meter) {
    const { samples, shape } = yield* preprocessing(image, settings, meter)
    return { samples, shape, size: inputSize(image, settings), place: placeIn(image, settings) }
  })
  return { inputs: imageTensors(samples, shape, model.manifest), size, place }
}

/** A box of the model's input in the picture that was sent. */
export function boxIn(place: Place, { xmin, ymin, xmax, ymax }: Box): Box {
  return {
    xmin: Math.round(place.x(xmin)),
    ymin: Math.round(place.y(ymin)),
    xmax: Math.round(place.x(xmax)),
    ymax: Math.round(place.y(ymax)),
  }
}
