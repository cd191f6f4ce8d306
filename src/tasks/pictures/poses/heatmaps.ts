/** A place in a map, and the map's value at the whole place next to it. */
export interface Peak {
  readonly x: number
  readonly y: number
  readonly score: number
}

type Floats = Float32Array | Float64Array

/**
 * Where a map is greatest. `dark` moves the place by Newton's method on the logarithm of the blurred map, as
 * `post_dark_unbiased_data_processing` of transformers' ViTPose does ("Distribution-Aware Coordinate Representation").
 */
export function refinedPeak(map: Floats, width: number, height: number, refine: 'none' | 'dark'): Peak {
  let best = 0
  for (let i = 1; i < map.length; i++) if ((map[i] ?? 0) > (map[best] ?? 0)) best = i
  const [x, y] = [best % width, Math.floor(best / width)]
  const score = map[best] ?? Number.NaN
  // A map without anything above zero has no place to refine.
  if (refine === 'none' || !(score > 0)) return { x, y, score }
  const at = (dx: number, dy: number): number =>
    logBlurred(map, width, height, clamped(x + dx, width), clamped(y + dy, height))
  const middle = at(0, 0)
  const [right, left, below, above] = [at(1, 0), at(-1, 0), at(0, 1), at(0, -1)]
  const [dx, dy] = [(right - left) / 2, (below - above) / 2]
  const dxx = right - 2 * middle + left + EPSILON
  const dyy = below - 2 * middle + above + EPSILON
  const dxy = (at(1, 1) - right - below + 2 * middle - left - above + at(-1, -1)) / 2
  const determinant = dxx * dyy - dxy * dxy
  const stepX = (dyy * dx - dxy * dy) / determinant
  const stepY = (dxx * dy - dxy * dx) / determinant
  return Number.isFinite(stepX + stepY) ? { x: x - stepX, y: y - stepY, score } : { x, y, score }
}

/** Of 32-bit floats, as transformers adds it to the Hessian. */
const EPSILON = 2 ** -23

/** Blur, in places of a map, and how far it reaches. */
const SIGMA = 0.8
const RADIUS = 5
/** Values that a logarithm is taken of. */
const LEAST = 0.001
const MOST = 50

const WEIGHTS = weights()

function weights(): Float64Array {
  const values = Float64Array.from({ length: 2 * RADIUS + 1 }, (_, i) =>
    Math.exp(-((i - RADIUS) ** 2) / (2 * SIGMA ** 2)),
  )
  const sum = values.reduce((total, value) => total + value, 0)
  return values.map((value) => value / sum)
}

/** The logarithm of a Gaussian average around a place; beyond its edges a map is mirrored. */
function logBlurred(map: Floats, width: number, height: number, x: number, y: number): number {
  let sum = 0
  for (let j = -RADIUS; j <= RADIUS; j++) {
    const row = mirrored(y + j, height) * width
    for (let i = -RADIUS; i <= RADIUS; i++) {
      sum += (WEIGHTS[i + RADIUS] ?? 0) * (WEIGHTS[j + RADIUS] ?? 0) * (map[row + mirrored(x + i, width)] ?? 0)
    }
  }
  return Math.log(Math.min(MOST, Math.max(LEAST, sum)))
}

function clamped(value: number, length: number): number {
  return Math.min(length - 1, Math.max(0, value))
}

/** `d c b a | a b c d | d c b a`, as SciPy's filters reflect. */
function mirrored(value: number, length: number): number {
  const period = 2 * length
  const within = ((value % period) + period) % period
  return within < length ? within : period - 1 - within
}
