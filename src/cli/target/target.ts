import { AuditLog } from '../../audit/log.ts'
import { IndexSweep } from '../../catalog/index/sweep.ts'
import { IndexWriter } from '../../catalog/index/writer.ts'
import type { ReleaseSigning } from '../../catalog/signing/release-signing.ts'
import { CatalogWriter, type CatalogWriterOptions } from '../../catalog/writer.ts'
import { isVergeError } from '../../core/errors.ts'
import { LIMITS } from '../../core/limits.ts'
import { silentLogger, systemClock } from '../../core/runtime.ts'
import type { Store } from '../../weights/store.ts'
import { nodeSha256 } from '../pack/bytes.ts'
import { UsageError } from '../terminal/command-line.ts'

/** Where models are pushed to: the stores that a Worker reads. */
export interface Target {
  readonly kind: 'local' | 'remote'
  /** For a person; never a credential. */
  readonly label: string
  readonly truth: Store
  readonly copies: readonly Store[]
  /** Writes manifests and aliases. It completes a started write even if the command is interrupted. */
  readonly writer: CatalogWriter
  /** Has every change of an alias or a key, by the writers of this target. */
  readonly audit: AuditLog
  dispose(): Promise<void>
}

/** How changes are made; left out where nothing is administered: in storage that only one process uses. */
export type Administration = Pick<CatalogWriterOptions, 'audit' | 'signing'>

export function writerOf(truth: Store, copies: readonly Store[], administration: Administration = {}): CatalogWriter {
  const index = indexWriterOf(truth)
  return new CatalogWriter(truth, copies, { sha256: nodeSha256, limits: LIMITS, index, ...administration })
}

/** Compares the index with the aliases, and makes it again. */
export function indexSweepOf(truth: Store): IndexSweep {
  return new IndexSweep(truth, indexWriterOf(truth), { clock: systemClock, logger: silentLogger, limits: LIMITS })
}

/** Writes the index that lists are read from. */
function indexWriterOf(truth: Store): IndexWriter {
  return new IndexWriter(truth, {
    sha256: nodeSha256,
    clock: systemClock,
    randomId: () => crypto.randomUUID(),
    logger: silentLogger,
    limits: LIMITS,
  })
}

/** Who administers a target. */
export interface Administrator {
  /** The name for the audit log. */
  readonly by: string
  /** Asked for when the first change is made. Without it signed models are left as they are. */
  readonly signing?: (() => Promise<ReleaseSigning>) | undefined
}

/** @param by who makes the changes */
export function auditLogOf(truth: Store, by: string): AuditLog {
  return new AuditLog(truth, { by, sha256: nodeSha256, clock: systemClock, limits: LIMITS })
}

/** How long a change of an alias takes to be seen, for a person. */
export function delayOf({ kind }: Pick<Target, 'kind'>): string {
  const seconds = LIMITS.aliasTtlMs / 1000
  return kind === 'local'
    ? `A Worker on this machine sees the change within ${seconds} s.`
    : `Workers see the change within about a minute: KV propagates changes within 60 s, and an isolate keeps what it has read for ${seconds} s.`
}

/**
 * A store error says only that the store did not answer. This adds the store's message for the person, and keeps outer
 * errors, for example that an alias was written but not its copy.
 */
export function understandable(error: unknown): unknown {
  if (!isVergeError(error, 'store_unavailable')) return error
  for (let failure: Error = error; failure.cause instanceof Error; failure = failure.cause) {
    const { cause } = failure
    if (isVergeError(cause, 'cancelled')) return cause
    if (!(cause instanceof UsageError)) continue
    return failure === error ? cause : new UsageError(`${error.message}\n${cause.message}`, { cause: error })
  }
  return error
}
