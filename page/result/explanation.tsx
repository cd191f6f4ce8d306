import { useEffect, useState } from 'preact/hooks'
import { Button, Notice, Scroll } from '../ui/index.ts'

interface Props {
  readonly explain: (signal: AbortSignal) => Promise<unknown>
}

type State = { readonly asked: false } | { readonly asked: true; readonly text?: string; readonly failure?: string }

/** The whole decision about where requests run now, for the operator. */
export function Explanation({ explain }: Props) {
  const [state, setState] = useState<State>({ asked: false })
  const { asked } = state
  useEffect(() => {
    if (!asked) return
    const aborter = new AbortController()
    explain(aborter.signal).then(
      (value) => setState({ asked: true, text: JSON.stringify(value, null, 2) }),
      (error: Error) => aborter.signal.aborted || setState({ asked: true, failure: error.message }),
    )
    return () => aborter.abort()
  }, [asked])
  if (!state.asked) {
    return (
      <div>
        <Button onClick={() => setState({ asked: true })}>Show what the Worker considered</Button>
      </div>
    )
  }
  if (state.failure !== undefined) {
    return (
      <Notice kind="bad" title="The Worker did not explain the decision">
        <p>{state.failure}</p>
      </Notice>
    )
  }
  return (
    <div>
      <h3 class="result-subtitle">What the Worker considers now</h3>
      <Scroll kind="code" label="The decision">
        <pre>{state.text ?? 'Asking...'}</pre>
      </Scroll>
    </div>
  )
}
