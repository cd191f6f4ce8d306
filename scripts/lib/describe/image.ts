import type { ImageSettings } from '../../../src/catalog/manifest.ts'
import { RESAMPLING, type Resampling } from '../../../src/catalog/settings/resample.ts'
import type { ImageInput } from './image-input.ts'
import type { Outcome } from './labels.ts'
import { numberOf, numbersOf, objectOf, type Settings, sizeOf, stringOf } from './settings.ts'

/** Settings, and where they are not quite what the model was trained with. */
export interface ImageOutcome {
  readonly image: ImageSettings
  readonly notes: readonly string[]
}

/** Fit, size and resize: how a picture gets its size. */
type Framing = Pick<ImageSettings, 'fit' | 'size' | 'resize'>

/** Below this ConvNeXT resizes a little larger and cuts; from it on it stretches. */
const CONVNEXT_STRETCHES = 384
const CONVNEXT_CROP = 224 / 256

/**
 * How a picture becomes a tensor, by a `preprocessor_config.json` as transformers' image processors write and read it.
 * Where the model's own input has a fixed size, that counts.
 */
export function imageSettings(processor: Settings, input: ImageInput): Outcome<ImageOutcome> {
  if (processor.do_flip_channel_order === true || processor.do_flip_channels === true) {
    return { problem: 'it takes pictures in the order blue, green, red, which is not known here' }
  }
  const notes: string[] = []
  const framing = framingOf(processor, input, notes)
  if (framing === undefined) return { problem: 'nothing says what size of picture it takes' }
  const values = valuesOf(processor, input.channels)
  if ('problem' in values) return values
  const resample = resampling(processor.resample, notes)
  return {
    value: {
      image: {
        mode: input.channels === 1 ? 'L' : 'RGB',
        ...framing,
        ...(resample && { resample }),
        ...values.value,
        layout: input.layout,
      },
      notes,
    },
  }
}

function framingOf(processor: Settings, input: ImageInput, notes: string[]): Framing | undefined {
  const wished = processor.do_resize === false ? undefined : wishedFraming(processor, notes)
  const [height, width] = [input.height ?? wished?.size[0], input.width ?? wished?.size[1]]
  if (height === undefined || width === undefined) return undefined
  if (wished === undefined) {
    notes.push(
      `pictures are stretched to ${width} x ${height}, because the settings do not say how they get their size`,
    )
    return { fit: 'stretch', size: [height, width] }
  }
  if (wished.size[0] === height && wished.size[1] === width) return wished
  notes.push(
    `pictures get ${width} x ${height} pixels, which is what the model takes; preprocessor_config.json says ${wished.size[1]} x ${wished.size[0]}`,
  )
  const resize = wished.resize && { resize: Math.max(wished.resize, height, width) }
  return { fit: wished.fit, size: [height, width], ...resize }
}

function wishedFraming(processor: Settings, notes: string[]): Framing | undefined {
  const exact = pairOf(processor.size)
  const edge = edgeOf(processor)
  const crop = pairOf(processor.crop_size) ?? squareOf(sizeOf(processor.crop_size))
  if (/^ConvNext/i.test(typeOf(processor)) && edge !== undefined) return convNext(edge, numberOf(processor.crop_pct))
  const cuts = processor.do_center_crop ?? processor.crop_size !== undefined
  if (cuts === true && crop !== undefined) {
    if (exact !== undefined && edge === undefined) {
      notes.push('pictures that are not square are cut where the model was trained on stretched ones')
    }
    const shorter = edge ?? (exact && Math.min(...exact)) ?? Math.max(...crop)
    return { fit: 'crop', size: crop, resize: Math.max(shorter, ...crop) }
  }
  if (exact !== undefined) return { fit: 'stretch', size: exact }
  if (edge === undefined) return undefined
  const square: [number, number] = [edge, edge]
  if (typeof processor.size === 'number') return { fit: 'stretch', size: square }
  notes.push('pictures are cut to a square; the model was trained on whole ones with this shorter side')
  return { fit: 'crop', size: square, resize: edge }
}

function convNext(edge: number, cropShare: number | undefined): Framing {
  const size: [number, number] = [edge, edge]
  if (edge >= CONVNEXT_STRETCHES) return { fit: 'stretch', size }
  const share = cropShare !== undefined && cropShare > 0 && cropShare <= 1 ? cropShare : CONVNEXT_CROP
  return { fit: 'crop', size, resize: Math.floor(edge / share) }
}

/** The shorter side: `{shortest_edge}`, or the plain number of older settings. */
function edgeOf({ size }: Settings): number | undefined {
  return sizeOf(objectOf(size)?.shortest_edge) ?? sizeOf(size)
}

function pairOf(value: unknown): [number, number] | undefined {
  const sizes = objectOf(value)
  const [height, width] = [sizeOf(sizes?.height), sizeOf(sizes?.width)]
  return height === undefined || width === undefined ? undefined : [height, width]
}

function squareOf(side: number | undefined): [number, number] | undefined {
  return side === undefined ? undefined : [side, side]
}

function typeOf(processor: Settings): string {
  return stringOf(processor.image_processor_type) ?? stringOf(processor.feature_extractor_type) ?? ''
}

type Values = Pick<ImageSettings, 'rescale' | 'mean' | 'std'>

/** Scale, mean and deviation. */
function valuesOf(processor: Settings, channels: 1 | 3): Outcome<Values> {
  const rescale = processor.do_rescale === false ? 1 : (numberOf(processor.rescale_factor) ?? 1 / 255)
  // EfficientNet takes 1 away after scaling, before mean and deviation.
  const shift = processor.rescale_offset === true && processor.do_rescale !== false ? 1 : 0
  if (
    processor.do_normalize === false ||
    (processor.do_normalize === undefined && processor.image_mean === undefined)
  ) {
    return { value: shift === 0 ? { rescale } : { rescale, mean: fill(shift, channels), std: fill(1, channels) } }
  }
  const mean = perChannel(processor.image_mean, channels)
  const std = perChannel(processor.image_std, channels)
  if (mean === undefined || std === undefined || std.some((value) => value <= 0)) {
    return {
      problem: `preprocessor_config.json has no mean and deviation for ${channels === 1 ? 'one channel' : 'three channels'}`,
    }
  }
  // Its processor divides by the deviation a second time for classifiers, unless told not to.
  const twice = /^EfficientNet/.test(typeOf(processor)) && processor.include_top !== false
  return {
    value: { rescale, mean: mean.map((value) => value + shift), std: twice ? std.map((value) => value * value) : std },
  }
}

function perChannel(value: unknown, channels: 1 | 3): number[] | undefined {
  const single = numberOf(value)
  const values = single === undefined ? numbersOf(value) : [single]
  if (values === undefined) return undefined
  if (values.length === channels) return values
  const [first] = values
  // One value for all channels, written once or several times.
  return first !== undefined && values.every((other) => other === first) ? fill(first, channels) : undefined
}

function fill(value: number, channels: number): number[] {
  return Array.from({ length: channels }, () => value)
}

/** Pillow's numbers of its filters, or timm's names. Undefined for what is done anyway. */
function resampling(resample: unknown, notes: string[]): Resampling | undefined {
  if (resample === undefined || resample === null) return undefined
  const named = typeof resample === 'number' ? RESAMPLING[resample] : RESAMPLING.find((name) => name === resample)
  if (named === undefined) {
    notes.push(
      `pictures are resized with a bilinear filter where the model was trained with "${String(resample)}": scores differ a little`,
    )
  }
  return named === 'bilinear' ? undefined : named
}
