import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import type { Answer, PanelRequest } from '../panels/request.ts'
import { isVergeError } from './failure-words.ts'

export interface RunState {
  readonly busy: boolean
  readonly answer: Answer | undefined
  readonly failure: unknown
  /** The visitor ended the last run. */
  readonly stopped: boolean
}

export interface Run extends RunState {
  readonly run: (request: PanelRequest) => Promise<void>
  /** Ends what runs; a text keeps what has arrived. */
  readonly stop: () => void
}

type Perform = (request: PanelRequest, signal: AbortSignal, onPart: (answer: Answer) => void) => Promise<Answer>

const IDLE: RunState = { busy: false, answer: undefined, failure: undefined, stopped: false }

/** One run at a time: a new one ends the last. @param subject what is asked; another begins with nothing */
export function useRun(perform: Perform, subject: unknown): Run {
  const [state, setState] = useState(IDLE)
  const current = useRef<AbortController | undefined>(undefined)
  const latest = useRef(perform)
  latest.current = perform
  useEffect(() => {
    setState(IDLE)
    return () => current.current?.abort()
  }, [subject])

  const run = useCallback(async (request: PanelRequest): Promise<void> => {
    current.current?.abort()
    const mine = new AbortController()
    current.current = mine
    setState(({ answer }) => ({ ...IDLE, busy: true, answer }))
    const show = (next: (last: RunState) => RunState): void => {
      if (current.current === mine) setState(next)
    }
    try {
      const answer = await latest.current(request, mine.signal, (part) => show((last) => ({ ...last, answer: part })))
      show(() => ({ ...IDLE, answer }))
    } catch (failure) {
      const stopped = mine.signal.aborted && isVergeError(failure) && failure.code === 'cancelled'
      // A text keeps what has arrived. An answer to another request would be taken for one to this.
      const kept = (answer: Answer | undefined) => (stopped || answer?.request === request ? answer : undefined)
      show(({ answer }) => ({
        busy: false,
        answer: kept(answer),
        failure: stopped ? undefined : failure,
        stopped,
      }))
    }
  }, [])
  const stop = useCallback(() => current.current?.abort(), [])
  return { ...state, run, stop }
}
