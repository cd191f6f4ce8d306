import type { Limits } from '../../core/limits.ts'
import type { Clock } from '../../core/runtime.ts'

export interface FetchKeysOptions {
  readonly fetch: (request: Request) => Promise<Response>
  readonly clock: Pick<Clock, 'after'>
  readonly limits: Pick<Limits, 'signInFetchMs' | 'signInKeySetBytes'>
}

/**
 * Fetches an issuer's key set from the address that the operator configured. A redirection is not followed: it could lead to
 * a server that the operator did not choose.
 * @throws an error for the log where the issuer does not answer in time, or with anything but a small text
 */
export async function fetchKeySet(url: string, { fetch, clock, limits }: FetchKeysOptions): Promise<string> {
  const controller = new AbortController()
  const tooLate = new Error(`No answer within ${limits.signInFetchMs} ms.`)
  const callOff = clock.after(limits.signInFetchMs, () => controller.abort(tooLate))
  const late = new Promise<never>((_, reject) => {
    controller.signal.addEventListener('abort', () => reject(tooLate), { once: true })
  })
  late.catch(() => {})
  try {
    return await Promise.race([read(url, controller.signal, fetch, limits.signInKeySetBytes), late])
  } finally {
    callOff()
  }
}

async function read(
  url: string,
  signal: AbortSignal,
  fetch: FetchKeysOptions['fetch'],
  mostBytes: number,
): Promise<string> {
  const answer = await fetch(new Request(url, { headers: { accept: 'application/json' }, redirect: 'manual', signal }))
  if (answer.status !== 200 || answer.body === null) {
    await answer.body?.cancel()
    throw new Error(`The issuer answered HTTP ${answer.status}.`)
  }
  const reader: ReadableStreamDefaultReader<Uint8Array> = answer.body.getReader()
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false })
  let bytes = 0
  let text = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return text + decoder.decode()
    bytes += value.length
    if (bytes > mostBytes) {
      await reader.cancel()
      throw new Error(`The issuer's answer has more than ${mostBytes} bytes.`)
    }
    text += decoder.decode(value, { stream: true })
  }
}
