import { floatElements, type Tensor, type Tensors } from '../../core/tensors.ts'

/**
 * Whether two versions gave the same answer, by what the outputs mean. Pure, and bounded: of a tensor with more than
 * `most` elements, evenly spread rows or elements are compared.
 */

/**
 * `classes`: the largest of each row of the last axis is in the same place. `direction`: the cosine of the angle between
 * the tensors. `values`: each element, within a tolerance.
 */
export type Meaning = 'classes' | 'direction' | 'values'

/** By task; `values` for those that are not listed, and for models without one. */
const MEANINGS: Readonly<Record<string, Meaning>> = {
  'image-classification': 'classes',
  'text-classification': 'classes',
  'token-classification': 'classes',
  'zero-shot-classification': 'classes',
  'fill-mask': 'classes',
  'audio-classification': 'classes',
  'bytes-classification': 'classes',
  'tabular-classification': 'classes',
  'image-feature-extraction': 'direction',
  'image-text-similarity': 'direction',
  'zero-shot-image-classification': 'direction',
  'zero-shot-audio-classification': 'direction',
  'feature-extraction': 'direction',
  'sentence-similarity': 'direction',
  'image-to-image': 'direction',
  'image-segmentation': 'direction',
  'background-removal': 'direction',
  'depth-estimation': 'direction',
  'keypoint-detection': 'direction',
}

export function meaningOf(task: string | undefined): Meaning {
  return (task !== undefined && Object.hasOwn(MEANINGS, task) ? MEANINGS[task] : undefined) ?? 'values'
}

export interface Agreement {
  readonly agrees: boolean
  /** Between two numbers in the same place; 0 if there is none that can be compared. */
  readonly largest: number
}

/** Of rows or elements, that must be alike: quantization moves a few that are near a border. */
const ALIKE_SHARE = 0.99
/** The same picture as two precisions of one encoder see it is closer. */
const LEAST_COSINE = 0.99
/** Half precision keeps three digits, and int8 two. */
const RELATIVE_TOLERANCE = 0.05
const ABSOLUTE_TOLERANCE = 1e-3

const DIFFERENT: Agreement = { agrees: false, largest: 0 }

/**
 * Of the outputs that both have. One that a version has more is said when its trial begins, and is not new with each request.
 * @param most elements of a tensor that are looked at
 */
export function compareOutputs(one: Tensors, other: Tensors, meaning: Meaning, most: number): Agreement {
  const both = [...one.keys()].filter((name) => other.has(name))
  let agrees = both.length > 0
  let largest = 0
  for (const name of both) {
    const [left, right] = [one.get(name), other.get(name)]
    if (left === undefined || right === undefined) continue
    const found = compareTensors(left, right, meaning, most)
    agrees &&= found.agrees
    largest = Math.max(largest, found.largest)
  }
  return { agrees, largest }
}

function compareTensors(one: Tensor, other: Tensor, meaning: Meaning, most: number): Agreement {
  const [left, right] = [floatElements(one), floatElements(other)]
  if (!isSameShape(one.shape, other.shape)) {
    // A version may have more labels than the other, behind those that both have.
    const columns = [one.shape.at(-1) ?? 1, other.shape.at(-1) ?? 1] as const
    const isLonger =
      one.shape.length === other.shape.length &&
      isSameShape(one.shape.slice(0, -1), other.shape.slice(0, -1)) &&
      Math.min(...columns) > 1
    if (meaning !== 'classes' || !isLonger || left === undefined || right === undefined) return DIFFERENT
    return { agrees: sameClasses(left, right, columns, most), largest: 0 }
  }
  if (left === undefined || right === undefined) {
    if (one.datatype !== other.datatype) return DIFFERENT
    return { agrees: sameElements(one.data, other.data, most), largest: 0 }
  }
  const columns = one.shape.at(-1) ?? 1
  const largest = largestDifference(left, right, most)
  if (meaning === 'classes' && columns > 1)
    return { agrees: sameClasses(left, right, [columns, columns], most), largest }
  if (meaning === 'direction' && columns > 1) return { agrees: cosine(left, right, most) >= LEAST_COSINE, largest }
  return { agrees: share(left.length, most, (i) => isNear(left[i], right[i])) >= ALIKE_SHARE, largest }
}

function isSameShape(one: readonly number[], other: readonly number[]): boolean {
  return one.length === other.length && one.every((size, i) => size === other[i])
}

function sameElements(one: ArrayLike<unknown>, other: ArrayLike<unknown>, most: number): boolean {
  return share(one.length, most, (i) => one[i] === other[i]) >= ALIKE_SHARE
}

/** Share of the looked-at places that are alike; 1 where there are none. */
function share(length: number, most: number, isAlike: (index: number) => boolean): number {
  const stride = strideOf(length, most)
  let [alike, of] = [0, 0]
  for (let i = 0; i < length; i += stride) {
    of++
    if (isAlike(i)) alike++
  }
  return of === 0 ? 1 : alike / of
}

function strideOf(length: number, most: number): number {
  return Math.max(1, Math.ceil(length / most))
}

/** @param columns of each */
function sameClasses(
  one: ArrayLike<number>,
  other: ArrayLike<number>,
  [columns, otherColumns]: readonly [number, number],
  most: number,
): boolean {
  const rows = Math.floor(one.length / columns)
  const alike = share(rows, Math.max(1, Math.floor(most / Math.max(columns, otherColumns))), (row) => {
    const [left, right] = [classOf(one, row * columns, columns), classOf(other, row * otherColumns, otherColumns)]
    return left === right
  })
  return alike >= ALIKE_SHARE
}

/** Where the largest element of a row is; -1 where one is not a number. */
function classOf(values: ArrayLike<number>, from: number, columns: number): number {
  let best = 0
  for (let i = 0; i < columns; i++) {
    const value = values[from + i] ?? Number.NaN
    if (Number.isNaN(value)) return -1
    if (value > (values[from + best] ?? 0)) best = i
  }
  return best
}

/** 1 for two tensors of zeros; 0 where an element of one alone is not finite. */
function cosine(one: ArrayLike<number>, other: ArrayLike<number>, most: number): number {
  const stride = strideOf(one.length, most)
  let [product, left, right] = [0, 0, 0]
  for (let i = 0; i < one.length; i += stride) {
    const [a = 0, b = 0] = [one[i], other[i]]
    if (Object.is(a, b) && !Number.isFinite(a)) continue
    product += a * b
    left += a * a
    right += b * b
  }
  if (left === 0 && right === 0) return 1
  const value = product / Math.sqrt(left * right)
  return Number.isFinite(value) ? value : 0
}

function isNear(one: number | undefined, other: number | undefined): boolean {
  if (one === undefined || other === undefined) return false
  if (Object.is(one, other) || one === other) return true
  const difference = Math.abs(one - other)
  if (!Number.isFinite(difference)) return false
  return difference <= ABSOLUTE_TOLERANCE + RELATIVE_TOLERANCE * Math.min(Math.abs(one), Math.abs(other))
}

function largestDifference(one: ArrayLike<number>, other: ArrayLike<number>, most: number): number {
  const stride = strideOf(one.length, most)
  let largest = 0
  for (let i = 0; i < one.length; i += stride) {
    const difference = Math.abs((one[i] ?? 0) - (other[i] ?? 0))
    if (Number.isFinite(difference) && difference > largest) largest = difference
  }
  return largest
}
