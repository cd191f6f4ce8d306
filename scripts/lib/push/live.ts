import { setTimeout as sleep } from 'node:timers/promises'
import type { Visibility } from '../../../src/catalog/alias.ts'
import { throwIfAborted } from '../../../src/core/errors.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import type { Built } from '../build/build.ts'
import { UsageError } from '../command-line.ts'
import { type Answer, gist, type Visitor } from '../doctor/visitor.ts'
import { type Probe, probeFor } from '../probe.ts'
import { printable } from '../terminal/format.ts'
import type { Progress } from '../terminal/progress.ts'

/** What a Worker that runs said of a model that was just pushed. */
export interface LiveAnswer {
  readonly url: string
  /** The same request as a line for a shell. */
  readonly curl: string
  /** Of the answer, as much as fits a line. */
  readonly answer: string
}

/** Why there is no answer, where that is no failure of the model's. */
export interface NoAnswer {
  readonly reason: string
}

export interface AskOptions {
  /** Who may call the model now. */
  readonly visibility: Visibility
  readonly signal: AbortSignal
  readonly progress: Progress
}

/** An isolate trusts an alias that it has read for this long, and a little more for a busy machine. */
const PATIENCE_MS = LIMITS.aliasTtlMs + 10_000
const POLL_MS = 500
/** A Worker that runs says so at once, or after waking up. */
const HEALTH_MS = 5_000
const SHOWN = 160

/**
 * Asks a running Worker for the version that was pushed, until it has seen it.
 * @throws UsageError with what the Worker says where it does not answer well; cancelled
 */
export async function askLive(
  visitor: Visitor,
  { packed, folder }: Pick<Built, 'packed' | 'folder'>,
  { visibility, signal, progress }: AskOptions,
): Promise<LiveAnswer | NoAnswer> {
  const { origin } = visitor
  const { model, version } = packed.manifest
  const probe = await probeFor(packed.manifest, folder)
  if (probe === null) return { reason: 'its input is too large to make one up' }
  if (visibility === 'private' && !visitor.hasKey) return { reason: 'it is private, and VERGE_API_KEY is not set' }
  if (!(await listens(visitor, signal))) return { reason: `no Worker listens at ${origin}` }
  const task = progress.task(`Asking ${origin}`, undefined, 'steps')
  const end = Date.now() + PATIENCE_MS
  for (;;) {
    const answer = await ask(visitor, probe, version, signal)
    if (answer.status === 200) {
      task.done('it answers')
      const { text } = answer
      const shown = text.length > SHOWN ? `${text.slice(0, SHOWN)}...` : text
      return { url: origin, curl: probe.curl(origin), answer: printable(shown) }
    }
    // The alias that it has read is older, or it reads another place.
    if (answer.status !== 404) {
      task.done(`HTTP ${answer.status}`)
      throw new UsageError(`The model is stored, but ${origin} does not answer for it: ${printable(gist(answer))}`)
    }
    if (Date.now() > end) {
      task.done('it does not know the model')
      return { reason: `the Worker at ${origin} does not know ${model} ${version}: it reads another place` }
    }
    await sleep(POLL_MS, undefined, { signal })
  }
}

async function ask(visitor: Visitor, probe: Probe, version: string, signal: AbortSignal): Promise<Answer> {
  try {
    return await visitor.ask(atVersion(probe.path, version), {
      method: 'POST',
      headers: { 'content-type': probe.contentType },
      body: probe.body,
      asOperator: true,
      signal,
    })
  } catch (error) {
    throwIfAborted(signal)
    throw new UsageError(`The model is stored, but ${visitor.origin} broke off when it was asked. Ask it again.`, {
      cause: error,
    })
  }
}

/** The request to one version: by the protocol's path, or by the task's parameter. */
function atVersion(path: string, version: string): string {
  return path.startsWith('/v2/')
    ? path.replace(/\/infer$/, `/versions/${encodeURIComponent(version)}/infer`)
    : `${path}?version=${encodeURIComponent(version)}`
}

async function listens(visitor: Visitor, signal: AbortSignal): Promise<boolean> {
  try {
    const patience = AbortSignal.any([signal, AbortSignal.timeout(HEALTH_MS)])
    return (await visitor.ask('/healthz', { signal: patience })).status === 200
  } catch {
    throwIfAborted(signal)
    return false
  }
}
