import type { CallersResult } from '../measures/callers.ts'
import type { ColdRow } from '../measures/cold.ts'
import type { ColdReadsRow } from '../measures/cold-reads.ts'
import type { FirstRequests } from '../measures/first-request.ts'
import type { LargestRow } from '../measures/largest.ts'
import type { LimitsRow } from '../measures/limits.ts'
import type { LoadingMemory } from '../measures/loading.ts'
import type { ModelsRow } from '../measures/models.ts'
import type { PagesResult } from '../measures/pages.ts'
import type { ProtocolRow } from '../measures/protocols.ts'
import type { ReleasesRow } from '../measures/releases.ts'
import type { RouterResult } from '../measures/router.ts'
import type { TelemetryRow } from '../measures/telemetry.ts'
import type { ThroughputRow } from '../measures/throughput.ts'
import type { WarmRow } from '../measures/warm.ts'
import type { WireResult } from '../measures/wire.ts'
import type { Machine } from './machine.ts'

/** What a model takes, and whether it runs at the edge. */
export interface FitRow {
  readonly model: string
  readonly onnxBytes: number
  /** Of the artifact that the edge loads; null where none fits. */
  readonly edgeBytes: number | null
  /** What runs that artifact. */
  readonly engine: 'verge' | 'onnxruntime' | null
  /** What the packer measured a session of it to hold. */
  readonly memoryBytes: number | null
  /** The same of the artifact that ONNX Runtime loads at the edge. */
  readonly runtimeBytes: number | null
  readonly runtimeMemoryBytes: number | null
  readonly notes: readonly string[]
}

/** One run. A part that was left out is absent. */
export interface BenchResult {
  readonly schema: 1
  /** Day of the run. */
  readonly date: string
  readonly effort: 'full' | 'quick'
  readonly seconds: number
  readonly machine: Machine
  /** Rows that this machine could not make, and why. */
  readonly leftOut?: readonly string[]
  readonly bundle: { readonly scripts: number; readonly wasm: number }
  readonly fit?: readonly FitRow[]
  readonly cold?: readonly ColdRow[]
  readonly firstRequests?: FirstRequests
  readonly reads?: readonly ColdReadsRow[]
  readonly pages?: PagesResult
  readonly loading?: LoadingMemory
  readonly warm?: readonly WarmRow[]
  readonly largest?: readonly LargestRow[]
  readonly throughput?: readonly ThroughputRow[]
  readonly router?: RouterResult
  readonly callers?: CallersResult
  readonly wire?: WireResult
  readonly protocols?: readonly ProtocolRow[]
  readonly limits?: LimitsRow
  readonly telemetry?: TelemetryRow
  readonly models?: readonly ModelsRow[]
  readonly releases?: readonly ReleasesRow[]
}
