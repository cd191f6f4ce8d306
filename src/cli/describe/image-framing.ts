import type { ImageSettings } from '../../catalog/manifest.ts'
import { familyOf, processorName } from './image-family.ts'
import type { ImageInput } from './image-input.ts'
import type { LabelOutcome } from './labels.ts'
import { numberOf, objectOf, type Settings, sizeOf } from './settings.ts'

/** Fit, size, resize and padding: how a picture gets its size. */
export type Framing = Pick<ImageSettings, 'fit' | 'size' | 'resize' | 'pad' | 'multiple'>

/** Below this ConvNeXT resizes a little larger and cuts; from it on it stretches. */
const CONVNEXT_STRETCHES = 384
const CONVNEXT_CROP = 224 / 256
const POOLFORMER_CROP = 0.9
/** LeViT resizes the shorter side by so much more than it says. */
const LEVIT_SHARE = 256 / 224

/** How a picture gets its size. Where the model's own input has a fixed size, that counts. */
export function framingOf(processor: Settings, input: ImageInput, notes: string[]): LabelOutcome<Framing> {
  const resizes = processor.do_resize !== false && processor.do_resize_and_center_crop !== false
  const asked = resizes ? wished(processor, input, notes) : undefined
  if (asked !== undefined && 'problem' in asked) return asked
  const framing = asked?.value
  const [height, width] = [input.height ?? framing?.size[0], input.width ?? framing?.size[1]]
  if (height === undefined || width === undefined) return { problem: 'no file sets its image size' }
  if (framing === undefined) {
    notes.push(`images are stretched to ${width} x ${height}, because the settings do not describe resizing`)
    return { value: { fit: 'stretch', size: [height, width] } }
  }
  if (framing.size[0] === height && framing.size[1] === width) return { value: framing }
  notes.push(
    `images are resized to ${width} x ${height} pixels, as the model requires; preprocessor_config.json says ${framing.size[1]} x ${framing.size[0]}`,
  )
  return { value: { ...framing, size: [height, width], ...enlarged(framing.resize, height, width) } }
}

/** A model that takes a larger picture than its settings say needs a larger one to cut it from. */
function enlarged(resize: Framing['resize'], height: number, width: number): Pick<Framing, 'resize'> {
  if (resize === undefined) return {}
  if (typeof resize === 'number') return { resize: Math.max(resize, height, width) }
  return { resize: [Math.max(resize[0], height), Math.max(resize[1], width)] }
}

/** The framing from the settings. Undefined if they have no size. */
function wished(processor: Settings, input: ImageInput, notes: string[]): LabelOutcome<Framing> | undefined {
  const family = familyOf(processor)
  const square = family?.square ?? typeof processor.crop_size === 'undefined'
  const edge = edgeOf(processor, square)
  const exact = pairOf(processor.size) ?? (square ? squareOf(sizeOf(processor.size)) : undefined)
  const crop = pairOf(processor.crop_size) ?? squareOf(sizeOf(processor.crop_size))
  const cuts = processor.do_center_crop ?? crop !== undefined
  switch (family?.frames) {
    case 'convnext':
      return edge === undefined ? undefined : { value: convNext(edge, numberOf(processor.crop_pct)) }
    case 'detr': {
      const longest = longestOf(processor)
      const open = input.height === undefined && input.width === undefined
      if (longest !== undefined && open) return { value: inProportion(processor, edge ?? longest, longest) }
      break
    }
    case 'dpt': {
      const open = input.height === undefined && input.width === undefined
      if (processor.keep_aspect_ratio !== true || exact === undefined) break
      if (open) {
        const multiple = sizeOf(processor.ensure_multiple_of) ?? 1
        return { value: { fit: 'proportional', size: exact, multiple } }
      }
      notes.push('images are stretched; in training they kept their aspect ratio')
      break
    }
    case 'thumbnail':
      // A list is [width, height] for Donut alone.
      if (exact !== undefined)
        return thumbnail(processor, Array.isArray(processor.size) ? [exact[1], exact[0]] : exact, notes)
      break
    case 'perceiver':
      if (cuts === true && exact !== undefined && crop !== undefined) return { value: perceiver(exact, crop, notes) }
      break
    case 'levit':
      if (edge !== undefined)
        return { value: cut(Math.trunc(LEVIT_SHARE * edge), cuts === true ? crop : undefined, notes) }
      break
    case 'poolformer': {
      const share = processor.crop_pct === null ? 1 : (numberOf(processor.crop_pct) ?? POOLFORMER_CROP)
      const side = edge ?? (exact?.[0] === exact?.[1] ? exact?.[0] : undefined)
      const resize = side === undefined ? exact?.map((value) => Math.trunc(value / share)) : Math.trunc(side / share)
      const size = crop ?? squareOf(side)
      if (resize !== undefined && size !== undefined)
        return { value: cut(resize as number | [number, number], size, notes) }
      break
    }
    default:
  }
  if (processor.do_thumbnail === true && family?.frames !== 'thumbnail') {
    return { problem: 'it makes thumbnails of images (do_thumbnail) in a way that Verge does not know' }
  }
  if (
    edge !== undefined &&
    divisorOf(processor) !== undefined &&
    input.height === undefined &&
    input.width === undefined
  ) {
    return { value: inProportion(processor, edge, Math.min(LONGEST_SIDE, LONGEST_SHARE * edge)) }
  }
  if (longestOf(processor) !== undefined) return whole(processor, input, edge ?? sizeOf(processor.size), notes)
  if (cuts === true && crop !== undefined) {
    if (edge !== undefined) return { value: cut(edge, crop, notes) }
    if (exact !== undefined) return { value: cut(exact, crop, notes) }
    return { value: { fit: 'crop', size: crop, resize: Math.max(...crop) } }
  }
  if (exact !== undefined) return { value: { fit: 'stretch', size: exact } }
  return edge === undefined ? undefined : { value: cut(edge, undefined, notes) }
}

/**
 * Resized and cut. Without a size to cut to, a picture keeps its proportions in training, so that no two have one size:
 * here the middle square is taken.
 */
function cut(resize: number | [number, number], crop: [number, number] | undefined, notes: string[]): Framing {
  if (crop === undefined) {
    if (typeof resize !== 'number') return { fit: 'stretch', size: resize }
    notes.push('images are cropped to a square; the model was trained on whole images with this shorter side')
    return { fit: 'crop', size: [resize, resize], resize }
  }
  if (typeof resize !== 'number') {
    if (resize[0] === crop[0] && resize[1] === crop[1]) return { fit: 'stretch', size: crop }
    notes.push(
      `images are stretched to ${resize[1]} x ${resize[0]} and centre-cropped to ${crop[1]} x ${crop[0]}, as the settings say`,
    )
  }
  return { fit: 'crop', size: crop, resize }
}

/** How many times as long as its shorter side a picture may be where the settings have no bound for it. */
const LONGEST_SHARE = 4
const LONGEST_SIDE = 2048

/** Of YOLOS, whose patches have this side: what is left at the end is cut off the size. */
const YOLOS_MULTIPLE = 16

/** Whole pictures in their own proportions, for a model that takes any size. */
function inProportion(processor: Settings, edge: number, longest: number): Framing {
  const multiple = processorName(processor) === 'Yolos' ? YOLOS_MULTIPLE : divisorOf(processor)
  return { fit: 'shortest', size: [longest, longest], resize: edge, ...(multiple !== undefined && { multiple }) }
}

/** What the sides of pictures are cut to a multiple of; undefined where they are not. */
function divisorOf(processor: Settings): number | undefined {
  const divisor = sizeOf(processor.size_divisibility) ?? sizeOf(processor.size_divisor)
  return divisor === 1 ? undefined : divisor
}

function convNext(edge: number, cropShare: number | undefined): Framing {
  const size: [number, number] = [edge, edge]
  if (edge >= CONVNEXT_STRETCHES) return { fit: 'stretch', size }
  const share = cropShare !== undefined && cropShare > 0 && cropShare <= 1 ? cropShare : CONVNEXT_CROP
  return { fit: 'crop', size, resize: Math.trunc(edge / share) }
}

/** Cuts a share of the shorter side out of the middle, then resizes that. Here the other way round. */
function perceiver(size: [number, number], crop: [number, number], notes: string[]): Framing {
  const [height, width] = size
  // The cut is size / crop of the shorter side: where the cut becomes `size`, the whole shorter side becomes `crop`.
  const resize = crop[0]
  if (crop[0] * width !== crop[1] * height) {
    notes.push(
      'images are cropped to another aspect ratio than in training, because crop_size and size have different ratios',
    )
  }
  notes.push('images are resized, then cropped; in training they were cropped first, so edges differ slightly')
  return { fit: 'crop', size: [height, width], resize }
}

function thumbnail(processor: Settings, size: [number, number], notes: string[]): LabelOutcome<Framing> {
  if (processor.do_thumbnail === false || processor.do_pad === false) {
    return { problem: 'without do_thumbnail and do_pad its images have different sizes' }
  }
  notes.push('images are resized once; in training they were resized twice, so pixels differ slightly')
  return { value: { fit: 'letterbox', size, pad: 0 } }
}

/** Pictures that keep their proportions between a shortest and a longest side: no two have one size. */
function whole(
  processor: Settings,
  input: ImageInput,
  edge: number | undefined,
  notes: string[],
): LabelOutcome<Framing> {
  const longest = longestOf(processor)
  const [height, width] = [input.height ?? edge, input.width ?? edge]
  if (height === undefined || width === undefined) {
    return {
      problem: `it takes images with a longest side of ${longest}, but Verge resizes all images to one size; set it with --size`,
    }
  }
  notes.push(
    `images are stretched to ${width} x ${height}; in training they kept their aspect ratio, up to ${longest} pixels`,
  )
  return { value: { fit: 'stretch', size: [height, width] } }
}

function longestOf(processor: Settings): number | undefined {
  return sizeOf(objectOf(processor.size)?.longest_edge) ?? sizeOf(processor.max_size)
}

/** The shorter side: `{shortest_edge}`, or the plain number of older settings where that is no square. */
function edgeOf({ size }: Settings, square: boolean): number | undefined {
  return sizeOf(objectOf(size)?.shortest_edge) ?? (square ? undefined : sizeOf(size))
}

/** `{height, width}`, or the list of older settings. */
function pairOf(value: unknown): [number, number] | undefined {
  const sizes = Array.isArray(value) ? { height: value[0] as unknown, width: value[1] as unknown } : objectOf(value)
  const [height, width] = [sizeOf(sizes?.height), sizeOf(sizes?.width)]
  return height === undefined || width === undefined ? undefined : [height, width]
}

function squareOf(side: number | undefined): [number, number] | undefined {
  return side === undefined ? undefined : [side, side]
}
