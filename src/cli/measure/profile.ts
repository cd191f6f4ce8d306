import type { Tensors } from '../../core/tensors.ts'
import { type ArtifactBytes, loadArtifact, vergeHere } from '../engine/verge-here.ts'

/** One step of a plan: its shortest time of all runs, and the work that the engine counts for it. */
export interface ProfiledStep {
  readonly op: string
  /** The ONNX node that it came from; empty where the model does not name it. */
  readonly node: string
  readonly milliseconds: number
  /** Multiply-adds of eight bits. */
  readonly work: number
}

export interface ProfileOptions {
  readonly inputs: Tensors
  readonly runs: number
  readonly signal: AbortSignal
  /** Milliseconds. Clocks stand still during a run in production, so a profile is of this machine. */
  readonly now: () => number
}

/** V8 compiles a kernel again, and better, after some calls: these do not count. */
const WARM_RUNS = 5

/** Runs an artifact of Verge's own engine in this process, and takes the time of each step. */
export async function profileArtifact(
  artifact: ArtifactBytes,
  { inputs, runs, signal, now }: ProfileOptions,
): Promise<ProfiledStep[]> {
  let at = 0
  let counts = false
  const steps: ProfiledStep[] = []
  const engine = await vergeHere({
    onStep({ name, from = '', cost }, run) {
      const begun = now()
      run()
      const milliseconds = Math.min(now() - begun, steps[at]?.milliseconds ?? Number.POSITIVE_INFINITY)
      if (counts) steps[at++] = { op: name, node: from, milliseconds, work: cost }
    },
  })
  const session = await loadArtifact(engine, artifact, signal)
  for (let run = -WARM_RUNS; run < runs; run++) {
    at = 0
    counts = run >= 0
    await session.run(inputs, { signal })
  }
  return steps
}

/** Steps of one operator taken together, the dearest first. */
export interface ProfiledOperator {
  readonly op: string
  readonly steps: number
  readonly milliseconds: number
  readonly work: number
}

export function byOperator(steps: readonly ProfiledStep[]): ProfiledOperator[] {
  const together = new Map<string, ProfiledOperator>()
  for (const { op, milliseconds, work } of steps) {
    const known = together.get(op) ?? { op, steps: 0, milliseconds: 0, work: 0 }
    together.set(op, {
      op,
      steps: known.steps + 1,
      milliseconds: known.milliseconds + milliseconds,
      work: known.work + work,
    })
  }
  return [...together.values()].sort((left, right) => right.milliseconds - left.milliseconds)
}
