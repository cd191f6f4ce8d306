import { setTimeout as sleep } from 'node:timers/promises'
import { LIMITS } from '../../../src/core/limits.ts'
import type { Built } from '../build/build.ts'
import { UsageError } from '../command-line.ts'
import { probeFor } from '../probe.ts'
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

/** An isolate trusts an alias that it has read for this long, and a little more for a busy machine. */
const PATIENCE_MS = LIMITS.aliasTtlMs + 10_000
const POLL_MS = 500
const SHOWN = 160

/**
 * Asks a running Worker for the version that was pushed, until it has seen it.
 * @returns undefined where nothing listens, the model is not for strangers, or its input would be too large to send
 * @throws UsageError with what the Worker says where it does not answer well
 */
export async function askLive(
  origin: string,
  { packed, folder }: Pick<Built, 'packed' | 'folder'>,
  { signal, progress }: { readonly signal: AbortSignal; readonly progress: Progress },
): Promise<LiveAnswer | undefined> {
  const { manifest } = packed
  const probe = await probeFor(manifest, folder)
  const url = origin.replace(/\/+$/, '')
  if (probe === null || !(await listens(url))) return undefined
  const task = progress.task(`Asking ${url}`, undefined, 'steps')
  const end = Date.now() + PATIENCE_MS
  for (;;) {
    const answer = await fetch(url + atVersion(probe.path, manifest.version), {
      method: 'POST',
      headers: { 'content-type': probe.contentType, ...key() },
      body: probe.body,
      signal: AbortSignal.any([signal, AbortSignal.timeout(60_000)]),
    })
    const text = await answer.text()
    if (answer.ok) {
      task.done('it answers')
      return {
        url,
        curl: probe.curl(url),
        answer: printable(text.length > SHOWN ? `${text.slice(0, SHOWN)}...` : text),
      }
    }
    // The alias that it has read is older; a private model looks the same to a stranger.
    if (answer.status !== 404 || Date.now() > end) {
      task.done(`HTTP ${answer.status}`)
      if (answer.status === 404) return undefined
      throw new UsageError(
        `The model is stored, but ${url} does not answer for it: HTTP ${answer.status} ${printable(text.slice(0, 400))}`,
      )
    }
    await sleep(POLL_MS, undefined, { signal })
  }
}

/** The request to one version: by the protocol's path, or by the task's parameter. */
function atVersion(path: string, version: string): string {
  return path.startsWith('/v2/')
    ? path.replace(/\/infer$/, `/versions/${encodeURIComponent(version)}/infer`)
    : `${path}?version=${encodeURIComponent(version)}`
}

async function listens(url: string): Promise<boolean> {
  try {
    const answer = await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(5_000) })
    await answer.body?.cancel()
    return answer.ok
  } catch {
    return false
  }
}

function key(): Record<string, string> {
  const { VERGE_API_KEY } = process.env
  return VERGE_API_KEY ? { authorization: `Bearer ${VERGE_API_KEY}` } : {}
}
