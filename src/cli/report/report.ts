import type { Accuracy, Artifact } from '../../catalog/manifest.ts'
import { safeName } from '../../onnx/errors.ts'
import type { LayerResult, SkippedLayer } from '../../quantize/types.ts'
import type { Measured } from '../measure/measure.ts'
import type { Trimming } from '../trim/stage.ts'
import type { AssessedOutput } from '../verify/assess-output.ts'
import type { LocatedError } from '../verify/locate.ts'
import type { ArtifactVerification, Verification } from '../verify/verify.ts'
import type { Sizes } from './sizes.ts'

/** Rises when a reader of older reports would misread a newer one; fields are only ever added otherwise. */
export const REPORT_SCHEMA = 1

/** The report about a built model: changes, their cost in accuracy, and the gain. */
export interface Report {
  readonly schema: typeof REPORT_SCHEMA
  readonly model: string
  readonly version: string
  /** Where the model came from, as it may be printed: without credentials. */
  readonly source: string
  /** Options that the person set. */
  readonly options: Readonly<Record<string, string | number | boolean | readonly string[]>>
  /** Automatic choices and their reasons. */
  readonly choices: readonly ReportChoice[]
  /** Versions of what made it: `onnxruntime`, `verge`. */
  readonly tools: Readonly<Record<string, string>>
  readonly original: SizedArtifact
  /**
   * The original, neither quantized nor cleaned, in the ORT format that the edge reads: what artifacts in that format
   * are compared with. Null where no artifact is in it, or the original does not convert.
   */
  readonly originalOrt: SizedArtifact | null
  /** Artifacts as stored, in the manifest's order. */
  readonly artifacts: readonly SizedArtifact[]
  /** Changes of the graph by pass, in the order they were made. */
  readonly passes: readonly { readonly pass: string; readonly changes: number }[]
  readonly layers: readonly LayerResult[]
  readonly skipped: readonly SkippedLayer[]
  readonly verification: Verification | null
  /** Error of each value inside the graph, where it was looked for. */
  readonly located: LocatedError | null
  readonly accuracy: StatedAccuracy | null
  /** What trimming the vocabulary saved and lost; null where all tokens stay. */
  readonly trimming: Trimming | null
  readonly measured: Measured | null
  /** The same of the original, where it runs in a Worker and was measured. */
  readonly measuredOriginal: Measured | null
  readonly notes: readonly string[]
}

/** `copied`: the model folder says so, and nothing was measured of these weights. */
export type StatedAccuracy = Accuracy & { readonly copied?: true }

/** What is said beside a figure that was not measured. */
export const COPIED = 'copied from verge.json, not measured of these weights'

export interface ReportChoice {
  readonly what: string
  readonly why: string
}

export interface SizedArtifact {
  readonly id: string
  readonly dtype: string
  readonly format: Artifact['format']
  readonly places: readonly string[]
  readonly sizes: Sizes
}

/**
 * C = S_compressed / S_original: sizes as shares of those of the original in the same format, each compressed in the
 * same way.
 */
export function ratios({ format, sizes }: SizedArtifact, { original: onnx, originalOrt }: Originals): Sizes {
  const { sizes: original } = format === 'ort' ? (originalOrt ?? onnx) : onnx
  return {
    bytes: sizes.bytes / original.bytes,
    gzip: sizes.gzip / original.gzip,
    brotli: sizes.brotli / original.brotli,
  }
}

/** Whether an output's figures are meaningful. Figures of an output that no sample exercises are not shown. */
export function isCompared({ unexercised }: AssessedOutput): boolean {
  return unexercised === null
}

/** Outputs that could not be compared, one sentence each. */
export function unexercisedOf({ artifact, outputs, same }: ArtifactVerification): string[] {
  if (same) return [`${artifact}: the original itself, so there is nothing to compare`]
  return outputs.flatMap(({ output, unexercised }) =>
    unexercised === null ? [] : [`${artifact}: output "${safeName(output)}" is not exercised: ${unexercised}`],
  )
}

type Originals = Pick<Report, 'original' | 'originalOrt'>

/**
 * The report for programs. Numbers that JSON lacks (the signal-to-noise ratio of a value without noise is infinite) are
 * null.
 */
export function renderJson(report: Report): string {
  const c = report.artifacts.map((artifact) => ({ id: artifact.id, ...ratios(artifact, report) }))
  const finite = (_: string, value: unknown): unknown =>
    typeof value === 'number' && !Number.isFinite(value) ? null : value
  return `${JSON.stringify({ ...report, c }, finite, 2)}\n`
}
