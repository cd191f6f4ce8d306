/** Digits as a person draws them, for those who cannot draw on a canvas, and as examples. Pure. */

export interface Point {
  readonly x: number
  readonly y: number
}

/** What a pen draws without being lifted. */
export type Stroke = readonly Point[]

/** From 0 to 1 in both directions, from the top left. */
const DIGITS: readonly (readonly string[])[] = [
  ['0.52,0.16 0.38,0.20 0.29,0.36 0.28,0.58 0.36,0.78 0.50,0.85 0.64,0.78 0.72,0.58 0.70,0.34 0.62,0.20 0.50,0.16'],
  ['0.54,0.15 0.53,0.40 0.51,0.62 0.50,0.86'],
  ['0.30,0.32 0.38,0.19 0.54,0.15 0.67,0.24 0.66,0.40 0.54,0.56 0.40,0.70 0.28,0.83 0.46,0.80 0.72,0.82'],
  ['0.32,0.22 0.48,0.15 0.64,0.20 0.67,0.34 0.58,0.45 0.45,0.49 0.60,0.52 0.69,0.65 0.64,0.79 0.48,0.86 0.31,0.80'],
  ['0.36,0.16 0.30,0.36 0.28,0.54 0.48,0.55 0.74,0.52', '0.62,0.18 0.60,0.44 0.58,0.86'],
  ['0.68,0.17 0.38,0.18 0.35,0.46 0.52,0.42 0.67,0.52 0.70,0.67 0.61,0.81 0.45,0.86 0.30,0.79'],
  ['0.62,0.15 0.46,0.26 0.35,0.46 0.31,0.66 0.38,0.82 0.53,0.86 0.66,0.77 0.67,0.62 0.55,0.53 0.41,0.59 0.33,0.70'],
  ['0.28,0.19 0.50,0.19 0.72,0.17 0.62,0.38 0.52,0.60 0.44,0.86'],
  [
    '0.64,0.24 0.50,0.15 0.36,0.22 0.36,0.36 0.50,0.47 0.64,0.60 0.65,0.75 0.50,0.86 0.36,0.76 0.36,0.61 0.50,0.48 0.63,0.36 0.65,0.25',
  ],
  ['0.66,0.30 0.54,0.17 0.40,0.20 0.33,0.34 0.39,0.47 0.53,0.47 0.65,0.35 0.67,0.26 0.65,0.48 0.60,0.68 0.55,0.87'],
]

/** The strokes of a digit from 0 to 9. */
export function digitStrokes(digit: number): readonly Stroke[] {
  return (DIGITS[digit] ?? []).map((stroke) =>
    stroke.split(' ').map((pair) => {
      const [x = 0, y = 0] = pair.split(',').map(Number)
      return { x, y }
    }),
  )
}

/** Whether any stroke leaves a mark; a single point does. */
export function hasInk(strokes: readonly Stroke[]): boolean {
  return strokes.some((stroke) => stroke.length > 0)
}

export type CurvePart =
  | { readonly to: Point }
  /** A quadratic curve. */
  | { readonly bend: Point; readonly to: Point }

/** A smooth curve through the middles between the points, so that a quick hand leaves no corners. */
export function smoothed(stroke: Stroke): { readonly start: Point; readonly parts: readonly CurvePart[] } | undefined {
  const [start, ...rest] = stroke
  if (start === undefined) return undefined
  // A dot: a line without length, which a round pen draws.
  const last = rest.at(-1)
  if (last === undefined) return { start, parts: [{ to: start }] }
  const bends = rest.slice(0, -1).map((bend, i) => ({ bend, to: middle(bend, rest[i + 1] ?? bend) }))
  return { start, parts: [...bends, { to: last }] }
}

function middle(a: Point, b: Point): Point {
  return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 }
}
