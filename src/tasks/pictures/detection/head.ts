import type { Manifest } from '../../../catalog/manifest.ts'
import type { DetectionSettings } from '../../../catalog/settings/detection.ts'
import { part, type Rows } from './rows.ts'

/** Where in a detector's outputs its boxes and scores are. */
export interface Head {
  readonly boxes: Rows
  /** What a box's four numbers are. */
  readonly corners: DetectionSettings['boxes']
  /** A score for each label; one score where there are `classes`. */
  readonly scores: Rows
  /** What turns them into scores. */
  readonly activation: NonNullable<Manifest['activation']>
  /** One number a row that multiplies its scores. */
  readonly objectness: Rows | undefined
  /** The number of each row's class, where the model has chosen it, and has left out what overlaps. */
  readonly classes: Rows | undefined
  /** Whether a row may be several things at once; else it is what it is most. */
  readonly several: boolean
  /** Whether overlapping boxes are both meant: nothing is left out unless the caller wants that. */
  readonly keepsOverlaps: boolean
  /** The class that means "no object", where the head itself has one. */
  readonly background?: number | undefined
}

/** Numbers of a row whose class and score the model has chosen: two corners, score, class. */
export const CHOSEN = 6

/** The head of rows of box, score and class. */
export function chosenHead(rows: Rows, corners: Head['corners'], activation: Head['activation']): Head {
  const [boxes, scores, classes] = [part(rows, 0, 4), part(rows, 4, 1), part(rows, 5, 1)]
  const several = false
  return { boxes, corners, scores, activation, objectness: undefined, classes, several, keepsOverlaps: true }
}
