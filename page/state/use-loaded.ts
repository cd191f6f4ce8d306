import { useCallback, useEffect, useRef, useState } from 'preact/hooks'

export interface Loaded<Value> {
  /** The last one that arrived, also while another is being loaded or has failed. */
  readonly value: Value | undefined
  readonly failure: unknown
  readonly loading: boolean
  readonly reload: () => void
}

/**
 * Loads a value, and again when what it depends on changes.
 * @param keep whether the last value is shown until the next arrives
 */
export function useLoaded<Value>(
  load: (signal: AbortSignal) => Promise<Value>,
  dependencies: readonly unknown[],
  keep: (last: Value) => boolean = () => true,
): Loaded<Value> {
  const [state, setState] = useState<Omit<Loaded<Value>, 'reload'>>({
    value: undefined,
    failure: undefined,
    loading: true,
  })
  const [turn, setTurn] = useState(0)
  const latest = useRef(load)
  latest.current = load
  useEffect(() => {
    const controller = new AbortController()
    setState(({ value }) => ({
      value: value !== undefined && keep(value) ? value : undefined,
      failure: undefined,
      loading: true,
    }))
    latest.current(controller.signal).then(
      (value) => !controller.signal.aborted && setState({ value, failure: undefined, loading: false }),
      (failure: unknown) => !controller.signal.aborted && setState(({ value }) => ({ value, failure, loading: false })),
    )
    return () => controller.abort()
  }, [...dependencies, turn])
  const reload = useCallback(() => setTurn((last) => last + 1), [])
  return { ...state, reload }
}
