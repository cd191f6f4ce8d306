import { useCallback, useEffect, useState } from 'preact/hooks'
import { transportOf } from '../../src/client/client.ts'
import { VergeError } from '../../src/client/error.ts'
import { ask, json } from '../../src/client/transport.ts'
import type { OperationsBody } from '../../src/protocols/verge/operations.ts'
import { pauseAfter } from './refresh.ts'

export interface Operations {
  /** The last answer, also while another is awaited or did not come. */
  readonly body: OperationsBody | undefined
  /** Milliseconds since it arrived. */
  readonly ageMs: number
  /** Of the last request; undefined if it succeeded. */
  readonly failure: unknown
  readonly loading: boolean
  /** The Worker does not accept the key for this. */
  readonly refused: boolean
  readonly refresh: () => void
}

interface State {
  readonly key: string
  readonly body?: OperationsBody | undefined
  /** By the page's clock. */
  readonly arrivedAt: number
  readonly failure?: unknown
  readonly failures: number
  readonly loading: boolean
}

const TIMEOUT_MS = 20_000
/** How often the age is told. */
const TICK_MS = 5_000

/**
 * Asks for `GET /v1/operations` again and again, as long as somebody may see it: a hidden tab asks nothing, and asks at once
 * when it is shown.
 * @param key empty: nothing is asked
 */
export function useOperations(url: string, key: string): Operations {
  const [state, setState] = useState<State>(() => empty(key))
  const [turn, setTurn] = useState(0)
  const shown = useShown()
  const now = useNow(shown)
  const refresh = useCallback(() => setTurn((last) => last + 1), [])
  useEffect(() => {
    if (key === '' || !shown) return
    const controller = new AbortController()
    const transport = transportOf({ url, key, timeoutMs: TIMEOUT_MS, retries: 0 })
    let timer: ReturnType<typeof setTimeout> | undefined
    let failures = 0
    const load = async (): Promise<void> => {
      setState((last) => ({ ...(last.key === key ? last : empty(key)), loading: true }))
      const { signal } = controller
      try {
        const body = await ask(transport, { path: '/v1/operations' }, { signal }, json<OperationsBody>)
        if (signal.aborted) return
        failures = 0
        setState({ key, body, arrivedAt: performance.now(), failures, loading: false })
      } catch (failure) {
        if (signal.aborted) return
        failures++
        // What a key showed is not shown without it.
        setState((last) => ({
          ...(isRefusal(failure) ? empty(key) : last),
          failure,
          failures,
          loading: false,
        }))
        if (isRefusal(failure)) return
      }
      timer = setTimeout(load, pauseAfter(failures))
    }
    void load()
    return () => {
      clearTimeout(timer)
      controller.abort()
    }
  }, [url, key, shown, turn])
  const { arrivedAt, body, failure, loading } = state.key === key ? state : empty(key)
  return {
    body,
    ageMs: Math.max(0, now - arrivedAt),
    failure,
    loading,
    refused: isRefusal(failure),
    refresh,
  }
}

function empty(key: string): State {
  return { key, arrivedAt: 0, failures: 0, loading: key !== '' }
}

function isRefusal(failure: unknown): boolean {
  return failure instanceof VergeError && (failure.status === 401 || failure.status === 403)
}

/** Whether the tab can be seen. */
function useShown(): boolean {
  const [shown, setShown] = useState(() => document.visibilityState === 'visible')
  useEffect(() => {
    const look = (): void => setShown(document.visibilityState === 'visible')
    document.addEventListener('visibilitychange', look)
    return () => document.removeEventListener('visibilitychange', look)
  }, [])
  return shown
}

/** The page's clock, every few seconds. */
function useNow(running: boolean): number {
  const [now, setNow] = useState(() => performance.now())
  useEffect(() => {
    if (!running) return
    setNow(performance.now())
    const timer = setInterval(() => setNow(performance.now()), TICK_MS)
    return () => clearInterval(timer)
  }, [running])
  return now
}
