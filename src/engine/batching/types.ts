import type { Clock, Logger } from '../../core/runtime.ts'

/** Whether runs of a model may be merged: not yet tried, tried and found to give the same answers, or never. */
export type BatchState = 'unproven' | 'proven' | 'off'

/** One turn of a model, told when it begins. */
export interface BatchReport {
  /** SHA-256 of the artifact. */
  readonly key: string
  /** Rows of all runs together; a run that has no rows counts as one. */
  readonly rows: number
  /** Requests' runs merged in it. */
  readonly runs: number
  /** Waiting time of the first job. */
  readonly waitMs: number
}

export interface ModelLoad {
  /** Runs and tokens waiting for a turn. */
  readonly queued: number
  /** Runs and tokens that the engine is at. */
  readonly running: number
  readonly batching: BatchState
}

export interface BatchingStats {
  readonly queued: number
  readonly running: number
  /** By SHA-256 of the artifact. */
  readonly perModel: ReadonlyMap<string, ModelLoad>
}

export interface BatchingOptions {
  readonly clock: Clock
  readonly logger: Logger
  /** Most rows in one run; 1 merges nothing. */
  readonly maxBatch: number
  /** How long a model's turn may be put off for others to join, where its last turn was shared; 0: never. */
  readonly maxWaitMs: number
  /** Runs that may wait for one model; more are refused at once. */
  readonly maxQueue: number
  /** Elements of all inputs of one merged run together. */
  readonly maxElements: number
  /** Turns at a time over all models: more than one helps where the engine itself runs several side by side. */
  readonly concurrency: number
  readonly onBatch?: (report: BatchReport) => void
}
