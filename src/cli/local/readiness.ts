import { setTimeout as sleep } from 'node:timers/promises'
import type { Manifest } from '../../catalog/manifest.ts'
import { codeOf, gist, parsed } from '../doctor/visitor.ts'
import { ORIGIN_COMMAND } from '../files/project.ts'
import { UsageError } from '../terminal/command-line.ts'
import type { DevServer } from './dev-server.ts'
import type { ModelProbe } from './probe.ts'

const POLL_MS = 150

/** A model that runs on larger machines alone was asked, and none is there: no failure of the model's. */
export class NoOriginError extends UsageError {}

/** Verge's error codes for a model that is unavailable because no origin runs. */
const FOR_WANT_OF_ORIGINS: ReadonlySet<string> = new Set(['origin_unavailable', 'placement_impossible'])

/**
 * @param code of Verge's, if there is one
 * @param manifest of the model that was asked
 * @returns the error to throw; undefined if the failure has another cause
 */
export function noOrigin(
  code: string | undefined,
  { artifacts }: Pick<Manifest, 'artifacts'>,
): NoOriginError | undefined {
  // So a Worker answers that knows of no origin at all.
  const unsupported = code === 'engine_unsupported' && !artifacts.some(({ places }) => places.includes('edge'))
  if (!unsupported && (code === undefined || !FOR_WANT_OF_ORIGINS.has(code))) return undefined
  return new NoOriginError(`no origin for it is running; "${ORIGIN_COMMAND}" starts one on this machine`)
}

/** Waits until the server answers at all. @throws UsageError if it ends or takes longer than `patienceMs` */
export async function untilListening(server: DevServer, patienceMs: number): Promise<void> {
  await orEnded(server, async (gone) => {
    const deadline = Date.now() + patienceMs
    while (!gone()) {
      try {
        const answer = await fetch(`${server.url}/healthz`, { signal: AbortSignal.timeout(5_000) })
        await answer.body?.cancel()
        return
      } catch {
        if (Date.now() > deadline) throw new UsageError(`wrangler dev did not answer within ${patienceMs / 1000} s.`)
        await sleep(POLL_MS)
      }
    }
  })
}

/**
 * Makes a model run once.
 * @returns the answer
 * @throws NoOriginError; UsageError with what the Worker said if it does not answer with success
 */
export async function ask(server: DevServer, manifest: Manifest, probe: ModelProbe): Promise<unknown> {
  return orEnded(server, async () => {
    const answer = await fetch(server.url + probe.path, {
      method: 'POST',
      headers: { 'content-type': probe.contentType },
      body: probe.body,
      signal: AbortSignal.timeout(60_000),
    })
    const text = await answer.text()
    if (!answer.ok) {
      const missing = noOrigin(codeOf({ json: parsed(text) }), manifest)
      throw (
        missing ??
        new UsageError(
          `Model "${manifest.model}" does not answer: ${gist({ status: answer.status, json: parsed(text), text })}`,
        )
      )
    }
    return JSON.parse(text)
  })
}

/** Runs `work`, or fails as soon as the server has ended. */
async function orEnded<T>(server: DevServer, work: (gone: () => boolean) => Promise<T>): Promise<T> {
  let gone = false
  return Promise.race([
    work(() => gone),
    server.ended.then((how) => {
      gone = true
      throw new UsageError(`wrangler dev ${how}.`)
    }),
  ])
}
