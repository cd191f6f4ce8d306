import { setTimeout as sleep } from 'node:timers/promises'
import type { Alias, Visibility } from '../../catalog/alias.ts'
import { throwIfAborted } from '../../core/errors.ts'
import { LIMITS } from '../../core/limits.ts'
import type { Built } from '../build/build.ts'
import { Visitor } from '../doctor/visitor.ts'
import { NoOriginError } from '../local/readiness.ts'
import { printable } from '../terminal/format.ts'
import type { Progress } from '../terminal/progress.ts'
import { type Question, questionFor } from './question.ts'

/** The answer of a running Worker for a model that was just pushed. */
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
  /** The line with which a person can ask, once the reason is gone. */
  readonly curl: string
}

export interface AskOptions {
  /** Who may call the model now. */
  readonly visibility: Visibility
  /** What answers where no version is named. */
  readonly live: Alias['live']
  /** The operator's key, with which private models, and versions that are not live, can be asked. */
  readonly key: string | undefined
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
 * Sends test requests to a running Worker until it has read the pushed version.
 * @param address of the Worker
 * @throws UsageError with the Worker's message if the request fails, or if the key would be sent unencrypted; cancelled
 */
export async function askLive(
  address: string,
  built: Omit<Built, 'report'>,
  { visibility, live, key, signal, progress }: AskOptions,
): Promise<LiveAnswer | NoAnswer> {
  const visitor = new Visitor(address, key)
  const { origin } = visitor
  const { model, version } = built.packed.manifest
  const isLive = live.some((each) => each.version === version)
  const closed = visibility === 'private' || !isLive
  const question = await questionFor(built, { visitor, key, alone: isLive && live.length === 1, closed })
  const unasked = (reason: string): NoAnswer => ({ reason, curl: question.curl })
  if (closed && key === undefined) {
    const why =
      visibility === 'private' ? 'it is private' : `version ${version} is not live, so only the operator may run it`
    return unasked(`${why}, and VERGE_API_KEY is not set`)
  }
  if (!(await listens(visitor, signal))) return unasked(`no Worker listens at ${origin}`)
  const task = progress.task(`Sending a test request to ${origin}`, undefined, 'steps')
  const answer = await untilKnown(question, signal).catch((error: unknown) => {
    task.done(error instanceof NoOriginError ? 'no origin' : 'it refuses')
    if (error instanceof NoOriginError) return error
    throw error
  })
  if (answer instanceof NoOriginError) return unasked(answer.message)
  if (answer === null) {
    task.done('it does not know the model')
    return unasked(`the Worker at ${origin} does not know ${model} ${version}, because it reads another bucket`)
  }
  task.done('it answers')
  const text = answer.length > SHOWN ? `${answer.slice(0, SHOWN)}...` : answer
  return { url: origin, curl: question.curl, answer: printable(text) }
}

/** The alias that a Worker has read may be older: asks until it reads it again. Null where it never knows. */
async function untilKnown(question: Question, signal: AbortSignal): Promise<string | null> {
  const end = Date.now() + PATIENCE_MS
  for (;;) {
    const answer = await question.ask(signal)
    if (answer !== null || Date.now() > end) return answer
    await sleep(POLL_MS, undefined, { signal })
  }
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
