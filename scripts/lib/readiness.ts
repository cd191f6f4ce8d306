import { setTimeout as sleep } from 'node:timers/promises'
import { UsageError } from './command-line.ts'
import type { DevServer } from './dev-server.ts'
import type { Probe } from './probe.ts'

const POLL_MS = 150

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
 * @throws UsageError with what the Worker said if it does not answer with success
 */
export async function ask(server: DevServer, model: string, probe: Probe): Promise<unknown> {
  return orEnded(server, async () => {
    const answer = await fetch(server.url + probe.path, {
      method: 'POST',
      headers: { 'content-type': probe.contentType },
      body: probe.body,
      signal: AbortSignal.timeout(60_000),
    })
    const text = await answer.text()
    if (!answer.ok) throw new UsageError(`Model "${model}" does not answer: HTTP ${answer.status} ${text}`)
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
