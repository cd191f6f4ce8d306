/** Where boxes of a detector lie on a picture that is shown in any size. Pure. */

/** A box in pixels of the picture, as the task answers it. */
export interface Box {
  readonly xmin: number
  readonly ymin: number
  readonly xmax: number
  readonly ymax: number
}

export interface PictureSize {
  readonly width: number
  readonly height: number
}

/** A box in percent of the picture, so that it stays in its place whatever size the picture is shown in. */
export interface PlacedBox {
  readonly left: number
  readonly top: number
  readonly width: number
  readonly height: number
  /** The label lies inside of the box, because there is no room above it. */
  readonly labelInside: boolean
  /** The label ends at the right edge of the box, because it would leave the picture otherwise. */
  readonly labelAtEnd: boolean
}

/** A label is about this part of the picture's height. */
const LABEL_HEIGHT = 10
/** A label is about this part of the picture's width. */
const LABEL_WIDTH = 35

export function placeBox({ xmin, ymin, xmax, ymax }: Box, { width, height }: PictureSize): PlacedBox {
  const left = percent(xmin, width)
  const top = percent(ymin, height)
  return {
    left,
    top,
    width: Math.max(0, percent(xmax, width) - left),
    height: Math.max(0, percent(ymax, height) - top),
    labelInside: top < LABEL_HEIGHT,
    labelAtEnd: left > 100 - LABEL_WIDTH,
  }
}

/** Where a box is, in words: for people who do not see the picture. */
export function placeInWords({ xmin, ymin, xmax, ymax }: Box, { width, height }: PictureSize): string {
  const across = third((xmin + xmax) / 2, width)
  const down = third((ymin + ymax) / 2, height)
  const column = ['left', 'centre', 'right'][across] ?? 'centre'
  const row = ['top', 'middle', 'bottom'][down] ?? 'middle'
  if (across === 1 && down === 1) return 'in the centre'
  return down === 1 ? `${column === 'centre' ? 'in the centre' : `on the ${column}`}` : `at the ${row} ${column}`
}

/** Labels in the order in which they first come, each with a number for its colour. */
export function coloursOf(labels: readonly string[], colours: number): ReadonlyMap<string, number> {
  const found = new Map<string, number>()
  for (const label of labels) if (!found.has(label)) found.set(label, found.size % colours)
  return found
}

function percent(value: number, whole: number): number {
  if (whole <= 0) return 0
  return Math.min(100, Math.max(0, (100 * value) / whole))
}

function third(value: number, whole: number): number {
  return Math.min(2, Math.max(0, Math.floor((3 * value) / whole)))
}
