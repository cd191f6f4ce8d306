import type { WorkerName } from '../lib/bundle.ts'
import type { Subject } from '../models/subjects.ts'

/** How much is measured. */
export interface Effort {
  readonly coldRounds: number
  readonly warmRounds: number
  /** Runs of each engine in a row, in each round, at the least. */
  readonly warmSamples: number
  /** Whether every input size is measured, or the smallest alone. */
  readonly everySize: boolean
  readonly callers: readonly number[]
  readonly loadRounds: number
  readonly loadSeconds: number
}

export const FULL: Effort = {
  coldRounds: 5,
  warmRounds: 5,
  warmSamples: 6,
  everySize: true,
  callers: [1, 4, 16],
  loadRounds: 2,
  loadSeconds: 2,
}

/** For CI: ratios, not figures to publish. */
export const QUICK: Effort = {
  coldRounds: 2,
  warmRounds: 2,
  warmSamples: 4,
  everySize: false,
  callers: [16],
  loadRounds: 1,
  loadSeconds: 1,
}

/** What every measure works with. */
export interface Bench {
  readonly effort: Effort
  /** Folders of the bundled Workers. */
  readonly bundles: Readonly<Record<WorkerName, string>>
  readonly subjects: readonly Subject[]
  /** Gets a line of progress. */
  readonly progress: (line: string) => void
}

export function subject(bench: Bench, name: string): Subject {
  const found = bench.subjects.find((candidate) => candidate.name === name)
  if (!found) throw new Error(`no model ${name} in this run`)
  return found
}
