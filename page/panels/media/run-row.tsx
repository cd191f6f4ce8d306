import type { ComponentChildren } from 'preact'
import { Button } from '../../ui/index.ts'

interface RunRowProps {
  readonly busy: boolean
  /** Why it cannot run yet, in words. */
  readonly missing?: string | undefined
  readonly onRun: () => void
  /** Settings of the run. */
  readonly children?: ComponentChildren
}

/** The settings of a run, and the button that starts it. Enter in a field starts it, too. */
export function RunRow({ busy, children, missing, onRun }: RunRowProps) {
  const ready = !busy && missing === undefined
  return (
    <form
      class="media-run"
      onSubmit={(event) => {
        event.preventDefault()
        if (ready) onRun()
      }}
    >
      {children}
      <Button kind="primary" type="submit" disabled={!ready}>
        {busy ? 'Running...' : 'Run'}
      </Button>
      {missing !== undefined && <p class="media-hint">{missing}</p>}
    </form>
  )
}
