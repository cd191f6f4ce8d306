/** Eigenvalues, the largest first, and a unit vector of each. */
export interface Eigen {
  readonly values: Float64Array
  /** [size, size], a vector a row. */
  readonly vectors: Float64Array
}

/** A few steps are usual for each eigenvalue; EISPACK allows 30. */
const MOST_STEPS = 60

/**
 * Eigenvalues and vectors of a symmetric matrix: Householder's reduction to three diagonals, then the implicit QL
 * algorithm, which turns vectors along (A. Dubrulle, R. S. Martin and J. H. Wilkinson, Numerische Mathematik 12, 1968;
 * EISPACK's `imtql2`). Vectors are rows here, so that each turn reads memory in order.
 * @param matrix [size, size], of which the upper half is read
 */
export function symmetricEigen(matrix: Float64Array, size: number): Eigen {
  const { diagonal, beside, vectors } = threeDiagonals(Float64Array.from(matrix), size)
  const norm = diagonal.reduce((most, value, at) => Math.max(most, Math.abs(value) + Math.abs(beside[at] as number)), 0)
  // Rounding has put errors of this size everywhere already.
  const least = Number.EPSILON * norm
  for (let first = 0; first < size; first++) settle(first, least, { diagonal, beside, vectors })
  const order = Array.from(diagonal.keys()).sort(
    (left, right) => (diagonal[right] as number) - (diagonal[left] as number),
  )
  const sorted = new Float64Array(size * size)
  for (const [to, from] of order.entries()) sorted.set(vectors.subarray(from * size, (from + 1) * size), to * size)
  return { values: Float64Array.from(order, (from) => diagonal[from] as number), vectors: sorted }
}

interface Tridiagonal {
  readonly diagonal: Float64Array
  /** Element i is between diagonal elements i and i + 1; the last is 0. */
  readonly beside: Float64Array
  /** What turns the matrix into this form, a row for each of its diagonal elements. */
  readonly vectors: Float64Array
}

function threeDiagonals(a: Float64Array, size: number): Tridiagonal {
  const vectors = new Float64Array(size * size)
  for (let index = 0; index < size; index++) vectors[index * (size + 1)] = 1
  const beside = new Float64Array(size)
  const v = new Float64Array(size)
  const w = new Float64Array(size)
  for (let k = 0; k < size - 1; k++) {
    let square = 0
    for (let i = k + 1; i < size; i++) {
      const value = a[k * size + i] as number
      v[i] = value
      square += value * value
    }
    const head = v[k + 1] as number
    const norm = Math.sqrt(square)
    const alpha = head > 0 ? -norm : norm
    beside[k] = norm === Math.abs(head) ? head : alpha
    // What follows the head is zero already.
    if (norm === Math.abs(head)) continue
    v[k + 1] = head - alpha
    const scale = 1 / (square - alpha * head)
    reflect(a, size, k + 1, { v, w, scale })
    turn(vectors, size, k + 1, { v, w, scale })
  }
  return {
    diagonal: Float64Array.from({ length: size }, (_, index) => a[index * (size + 1)] as number),
    beside,
    vectors,
  }
}

interface Reflection {
  readonly v: Float64Array
  /** To compute in. */
  readonly w: Float64Array
  /** 2 / |v|². */
  readonly scale: number
}

/** H A H of the rows and columns from `from` on, H = 1 - scale v vᵀ. */
function reflect(a: Float64Array, size: number, from: number, { v, w, scale }: Reflection): void {
  let inner = 0
  for (let i = from; i < size; i++) {
    let sum = 0
    for (let j = from, at = i * size + from; j < size; j++, at++) sum += (a[at] as number) * (v[j] as number)
    w[i] = sum * scale
    inner += sum * scale * (v[i] as number)
  }
  const half = (inner * scale) / 2
  for (let i = from; i < size; i++) w[i] = (w[i] as number) - half * (v[i] as number)
  for (let i = from; i < size; i++) {
    const [vi, wi] = [v[i] as number, w[i] as number]
    for (let j = from, at = i * size + from; j < size; j++, at++)
      a[at] = (a[at] as number) - vi * (w[j] as number) - wi * (v[j] as number)
  }
}

/** H times the vectors' rows from `from` on. */
function turn(vectors: Float64Array, size: number, from: number, { v, w, scale }: Reflection): void {
  w.fill(0)
  for (let i = from; i < size; i++) {
    const vi = (v[i] as number) * scale
    for (let j = 0, at = i * size; j < size; j++, at++) w[j] = (w[j] as number) + vi * (vectors[at] as number)
  }
  for (let i = from; i < size; i++) {
    const vi = v[i] as number
    for (let j = 0, at = i * size; j < size; j++, at++) vectors[at] = (vectors[at] as number) - vi * (w[j] as number)
  }
}

/** Steps until diagonal element `first` stands alone. */
function settle(first: number, least: number, parts: Tridiagonal): void {
  for (let steps = 0; ; steps++) {
    const last = lastJoined(first, least, parts)
    if (last === first) return
    if (steps === MOST_STEPS) throw new RangeError('the eigenvalues of a matrix were not found: it is not symmetric')
    step(first, last, parts)
  }
}

/** The last diagonal element that is still joined to `first`. */
function lastJoined(first: number, least: number, { diagonal, beside }: Tridiagonal): number {
  let last = first
  for (; last < diagonal.length - 1; last++) {
    if (Math.abs(beside[last] as number) <= least) break
  }
  return last
}

/** One QL step of the diagonal elements `first` to `last`, shifted towards an eigenvalue. */
function step(first: number, last: number, { diagonal: d, beside: e, vectors }: Tridiagonal): void {
  const size = d.length
  const at = (list: Float64Array, index: number): number => list[index] as number
  let g = (at(d, first + 1) - at(d, first)) / (2 * at(e, first))
  let r = Math.hypot(g, 1)
  g = at(d, last) - at(d, first) + at(e, first) / (g >= 0 ? g + r : g - r)
  let [s, c, p] = [1, 1, 0]
  for (let i = last - 1; i >= first; i--) {
    const [f, b] = [s * at(e, i), c * at(e, i)]
    r = Math.hypot(f, g)
    e[i + 1] = r
    if (r === 0) {
      d[i + 1] = at(d, i + 1) - p
      e[last] = 0
      return
    }
    s = f / r
    c = g / r
    g = at(d, i + 1) - p
    r = (at(d, i) - g) * s + 2 * c * b
    p = s * r
    d[i + 1] = g + p
    g = c * r - b
    for (let k = 0, low = i * size, high = low + size; k < size; k++, low++, high++) {
      const [left, right] = [at(vectors, low), at(vectors, high)]
      vectors[high] = s * left + c * right
      vectors[low] = c * left - s * right
    }
  }
  d[first] = at(d, first) - p
  e[first] = g
  e[last] = 0
}
