/** Prediction within a picture (RFC 6386, 12). Modes are numbered alike for blocks of 4, 8 and 16. */

export const DC = 0
export const TRUE_MOTION = 1
export const VERTICAL = 2
export const HORIZONTAL = 3

/** A plane with a border: a row above it and a column to its left, so that nothing has to be asked of an edge. */
export interface BorderedPlane {
  readonly data: Uint8ClampedArray
  readonly stride: number
  /** Where the first sample is. */
  readonly origin: number
}

/** What lies above a picture, and what to its left. */
const ABOVE = 127
const BESIDE = 129
/** Samples to the right of a plane: blocks look beyond the macroblock above them. */
const RIGHT = 4

export function borderedPlane(width: number, height: number): BorderedPlane {
  const stride = width + 1 + RIGHT
  const data = new Uint8ClampedArray(stride * (height + 1))
  data.fill(ABOVE, 0, stride)
  for (let y = 1; y <= height; y++) data[y * stride] = BESIDE
  return { data, stride, origin: stride + 1 }
}

/** @param above @param left whether there is a picture on that side */
export function predict(
  { data, stride }: BorderedPlane,
  at: number,
  side: 8 | 16,
  mode: number,
  above: boolean,
  left: boolean,
): void {
  const up = at - stride
  if (mode === DC) {
    let sum = 0
    for (let i = 0; i < side; i++) {
      if (above) sum += data[up + i] ?? 0
      if (left) sum += data[at - 1 + i * stride] ?? 0
    }
    const count = side * (Number(above) + Number(left))
    const mean = count === 0 ? 128 : (sum + (count >> 1)) / count
    for (let y = 0; y < side; y++) data.fill(Math.floor(mean), at + y * stride, at + y * stride + side)
  } else if (mode === VERTICAL) {
    for (let y = 0; y < side; y++) data.copyWithin(at + y * stride, up, up + side)
  } else if (mode === HORIZONTAL) {
    for (let y = 0; y < side; y++) data.fill(data[at - 1 + y * stride] ?? 0, at + y * stride, at + y * stride + side)
  } else {
    trueMotion(data, stride, at, side)
  }
}

function trueMotion(data: Uint8ClampedArray, stride: number, at: number, side: number): void {
  const up = at - stride
  const corner = data[up - 1] ?? 0
  for (let y = 0; y < side; y++) {
    const row = at + y * stride
    const change = (data[row - 1] ?? 0) - corner
    for (let x = 0; x < side; x++) data[row + x] = (data[up + x] ?? 0) + change
  }
}

/** The nine samples up the left side, over the corner and along the top, and four more to the right. */
const edge = new Uint8Array(13)

/**
 * Predicts a block of 4 x 4.
 * @param mode one of ten
 * @param right where the four samples above to its right are
 */
export function predictBlock({ data, stride }: BorderedPlane, at: number, mode: number, right: number): void {
  const up = at - stride
  if (mode === TRUE_MOTION) {
    trueMotion(data, stride, at, 4)
    return
  }
  // 0 to 3 from the bottom of the left side up, 4 the corner, 5 to 8 above, 9 to 12 beyond.
  for (let i = 0; i < 4; i++) {
    edge[i] = data[at - 1 + (3 - i) * stride] ?? 0
    edge[5 + i] = data[up + i] ?? 0
    edge[9 + i] = data[right + i] ?? 0
  }
  edge[4] = data[up - 1] ?? 0
  const put = (x: number, y: number, value: number): void => {
    data[at + x + y * stride] = value
  }
  if (mode === DC) {
    let sum = 4
    for (let i = 0; i < 4; i++) sum += (edge[i] ?? 0) + (edge[5 + i] ?? 0)
    for (let i = 0; i < 16; i++) put(i & 3, i >> 2, sum >> 3)
    return
  }
  const predictor = PREDICTORS[mode]
  if (predictor === undefined) return
  for (let y = 0; y < 4; y++) for (let x = 0; x < 4; x++) put(x, y, predictor(x, y))
}

/** Mean of two neighbours on the edge, from `i` on. */
function two(i: number): number {
  return ((edge[i] ?? 0) + (edge[i + 1] ?? 0) + 1) >> 1
}

/** Weighted mean of three neighbours on the edge around `i`. */
function three(i: number): number {
  return ((edge[i - 1] ?? 0) + 2 * (edge[i] ?? 0) + (edge[i + 1] ?? 0) + 2) >> 2
}

type Predictor = (x: number, y: number) => number

/** By mode: down-left and the like are named for where the samples come from. */
const PREDICTORS: readonly (Predictor | undefined)[] = [
  undefined,
  undefined,
  (x) => three(5 + x),
  (_, y) => (y === 3 ? ((edge[1] ?? 0) + 3 * (edge[0] ?? 0) + 2) >> 2 : three(3 - y)),
  (x, y) => three(4 + x - y),
  // Vertical, leaning right.
  (x, y) => {
    const i = 2 * x - y
    if (i < -1) return three(4 + i + 1)
    return i % 2 === 0 ? two(4 + i / 2) : three(4 + (i + 1) / 2)
  },
  // From above on the right.
  (x, y) => (x + y === 6 ? ((edge[11] ?? 0) + 3 * (edge[12] ?? 0) + 2) >> 2 : three(6 + x + y)),
  // Vertical, leaning left. The last two of its column do not keep to the rule.
  (x, y) => {
    if (x === 3 && y >= 2) return three(8 + y)
    return y % 2 === 0 ? two(5 + x + y / 2) : three(6 + x + (y - 1) / 2)
  },
  // Horizontal, leaning down.
  (x, y) => {
    const i = 2 * y - x
    if (i < -1) return three(4 - i - 1)
    return i % 2 === 0 ? two(3 - i / 2) : three(4 - (i + 1) / 2)
  },
  // Horizontal, leaning up.
  (x, y) => {
    const i = x + 2 * y
    if (i > 5) return edge[0] ?? 0
    if (i === 5) return ((edge[1] ?? 0) + 3 * (edge[0] ?? 0) + 2) >> 2
    return i % 2 === 0 ? two(2 - i / 2) : three(2 - (i - 1) / 2)
  },
]
