import type { Tensors } from '../core/tensors.ts'
import type { Session } from '../engine/engine.ts'

/** The version that a session is of. */
export interface SessionOwner {
  readonly model: string
  readonly version: string
}

/** Is told what becomes of sessions. */
export interface SessionObserver {
  loaded(owner: SessionOwner, ok: boolean): void
  /** One left to make room for others, or because it was asked to. */
  evicted(owner: SessionOwner): void
}

/** The memory of one loaded session. */
export interface SessionMemory {
  readonly model: string
  /** Bytes that the engine holds for it. */
  readonly usedBytes: number
  /** Bytes that its manifest asks for. */
  readonly grantedBytes: number
}

/** A requested session: its identity, its memory, and how to load it. */
export interface SessionRequest {
  /** Digest of the artifact. */
  readonly key: string
  readonly bytes: number
  /** What its runs take beside the session. */
  readonly runBytes?: number
  /** Of all sessions and one of its runs; unbounded if left out. */
  readonly roomBytes?: number
  /** A pinned session is not evicted, except where the heap has to be rebuilt because of its holes. */
  readonly pinned: boolean
  /** Whose it is, for who watches. */
  readonly of?: SessionOwner
  load(context: { readonly signal: AbortSignal; onProgress(): void }): Promise<Session>
}

export type Start = 'warm' | 'cold'

/** What one run brought, and how long its parts took in milliseconds. */
export interface SessionRun {
  readonly outputs: Tensors
  readonly start: Start
  readonly timings: { readonly loadMs: number; readonly queueMs: number; readonly runMs: number }
}

/** Facts about the use of a session, from its user. */
export interface SessionUse {
  readonly start: Start
  /** How long the load took that this request began ahead of its use; absent where it began none. */
  readonly loadMs?: number
  /** Says that the user is still there: a use that is not renewed within its lease counts as dead. */
  renew(): void
  /**
   * One of several pieces of work within a use. Where the engine lost the session or has no room, room is made, and the
   * work is done again, perhaps with another session of the same artifact.
   * @param runBytes of memory that it takes beside the session
   */
  attempt<T>(work: (session: Session) => Promise<T>, runBytes: number): Promise<T>
}
