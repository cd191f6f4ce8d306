/** How far an artifact may differ from the original before its verification fails. */
export interface Tolerance {
  /** Least cosine of an output with the original's, over all samples together. */
  readonly cosine: number
  /** Most root-mean-square error of an output, as a share of the original's root mean square. */
  readonly relative: number
  /** Minimum share of samples with the original's best class, and of equal elements in exact outputs. */
  readonly agreement: number
  /** Share of an output's range below which nothing in it can be told from zero. */
  readonly floor: number
}

/**
 * By precision. For noise orthogonal to the signal, relative error and cosine are equivalent: a relative error of r has
 * a cosine of 1 / sqrt(1 + r^2). The error also detects an output with a wrong scale.
 *
 * fp32 differs only in the order of additions: single-precision rounding (6e-8) over the depth of a network stays two
 * orders below this. fp16 rounds to 5e-4 at each node. An error in a graph costs far more than rounding to 8 bits
 * (noise at 1 % of a well-spread weight's signal) or to 4 bits (10 %), so these tolerances detect errors and unusable
 * models. Accuracy on labelled samples decides whether a precision is good enough for a task.
 *
 * The floor: rounding in the earlier layers changes a score of zero by two or three steps of 8 bits (1/255), and by
 * twice as many in 4 bits.
 */
const TOLERANCES: Readonly<Record<string, Tolerance>> = {
  fp32: { cosine: 0.99999, relative: 1e-3, agreement: 1, floor: 1e-6 },
  fp16: { cosine: 0.999, relative: 0.045, agreement: 0.99, floor: 1e-3 },
  int8: { cosine: 0.99, relative: 0.15, agreement: 0.95, floor: 0.01 },
  q4: { cosine: 0.95, relative: 0.33, agreement: 0.9, floor: 0.02 },
}

const ALIASES: Readonly<Record<string, string>> = { q8: 'int8', uint8: 'int8', q4f16: 'q4', bnb4: 'q4' }

/**
 * The tolerance of a precision by transformers.js's name; the widest for names that are not known. Where the cosine alone
 * is set, the relative error follows it.
 */
export function toleranceFor(dtype: string, overrides: Partial<Tolerance> = {}): Tolerance {
  const name = Object.hasOwn(ALIASES, dtype) ? ALIASES[dtype] : dtype
  const known = name !== undefined && Object.hasOwn(TOLERANCES, name) ? TOLERANCES[name] : undefined
  const { cosine } = overrides
  const relative = cosine === undefined ? {} : { relative: cosine > 0 ? Math.sqrt(1 / cosine ** 2 - 1) : Infinity }
  return { ...((known ?? TOLERANCES.q4) as Tolerance), ...relative, ...overrides }
}
