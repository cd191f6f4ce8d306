/** Answers of media tasks, as far as they are what the panels show. What is not is undefined, and only shown as JSON. Pure. */
import type { Box } from './boxes.ts'
import type { Point, Pose } from './poses.ts'
import { isNumber, isRecord, listOf } from './read-answer.ts'
import type { Segment } from './timeline.ts'

export interface Score {
  readonly label: string
  readonly score: number
}

export interface Detection extends Score {
  readonly box: Box
}

export interface Speech {
  readonly segments: readonly Segment[]
  /** Seconds from one probability to the next. */
  readonly window: number | undefined
  readonly probabilities: readonly number[] | undefined
}

export function scoresIn(output: unknown): readonly Score[] | undefined {
  return listOf(output, (item) => scoreIn(item))
}

export function detectionsIn(output: unknown): readonly Detection[] | undefined {
  return listOf(output, (item) => {
    const score = scoreIn(item)
    const box = isRecord(item) ? boxIn(item.box) : undefined
    return score && box && { ...score, box }
  })
}

/** Points of persons or things; a point's score and name may be missing. */
export function posesIn(output: unknown): readonly Pose[] | undefined {
  return listOf(output, (item) => {
    if (!isRecord(item) || !isNumber(item.score)) return undefined
    const points = listOf(item.keypoints, pointIn)
    const label = typeof item.label === 'string' ? item.label : undefined
    return points && { score: item.score, label, box: boxIn(item.box), points }
  })
}

function pointIn(value: unknown): Point | undefined {
  if (!isRecord(value)) return undefined
  const { name, score, x, y } = value
  if (!isNumber(x) || !isNumber(y)) return undefined
  return { x, y, score: isNumber(score) ? score : undefined, name: typeof name === 'string' ? name : undefined }
}

export function speechIn(output: unknown): Speech | undefined {
  if (!isRecord(output)) return undefined
  const segments = listOf(output.segments, (item) => {
    if (!isRecord(item)) return undefined
    const { start, end, score } = item
    return isNumber(start) && isNumber(end) && isNumber(score) ? { start, end, score } : undefined
  })
  const probabilities = listOf(output.probabilities, (item) => (isNumber(item) ? item : undefined))
  const window = output.window
  return segments && { segments, window: isNumber(window) ? window : undefined, probabilities }
}

/** A picture's vector, or several vectors of its parts. */
export function vectorsIn(output: unknown): readonly (readonly number[])[] | undefined {
  const numbers = (value: unknown) => listOf(value, (item) => (isNumber(item) ? item : undefined))
  const one = numbers(output)
  if (one !== undefined) return one.length > 0 ? [one] : undefined
  return listOf(output, numbers)
}

export type Prediction = string | number | readonly number[] | readonly Score[]

/** An answer for each row of a table: a class, a number, several numbers, or labels with scores. */
export function predictionsIn(output: unknown): readonly Prediction[] | undefined {
  return listOf<Prediction>(output, (item) => {
    if (typeof item === 'string' || isNumber(item)) return item
    return listOf(item, (value) => (isNumber(value) ? value : undefined)) ?? scoresIn(item)
  })
}

function scoreIn(item: unknown): Score | undefined {
  if (!isRecord(item)) return undefined
  const { label, score } = item
  return typeof label === 'string' && isNumber(score) ? { label, score } : undefined
}

function boxIn(value: unknown): Box | undefined {
  if (!isRecord(value)) return undefined
  const { xmin, ymin, xmax, ymax } = value
  return isNumber(xmin) && isNumber(ymin) && isNumber(xmax) && isNumber(ymax) ? { xmin, ymin, xmax, ymax } : undefined
}
