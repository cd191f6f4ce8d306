import type { ComponentChildren } from 'preact'
import { Button } from '../../ui/index.ts'

interface RunFormProps {
  readonly busy: boolean
  /** Why it cannot run yet, in words. */
  readonly missing?: string | undefined
  readonly onRun: () => void
  readonly children: ComponentChildren
}

/** The input of a panel. Ctrl+Enter (or Cmd+Enter) runs it from any field. */
export function RunForm({ busy, children, missing, onRun }: RunFormProps) {
  const ready = !busy && missing === undefined
  const run = (event: Event): void => {
    event.preventDefault()
    if (ready) onRun()
  }
  return (
    <form
      class="text-form"
      onSubmit={run}
      onKeyDown={(event) => {
        if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) run(event)
      }}
    >
      {children}
      <div class="text-actions">
        <Button kind="primary" type="submit" disabled={!ready}>
          {busy ? 'Running...' : 'Run'}
        </Button>
        <span class="text-hint">{missing ?? 'Ctrl+Enter runs it, too.'}</span>
      </div>
    </form>
  )
}

interface ExamplesProps {
  readonly texts: readonly string[]
  readonly onChoose: (text: string) => void
}

/** Inputs to try with one press. */
export function Examples({ onChoose, texts }: ExamplesProps) {
  if (texts.length < 2) return null
  return (
    <div class="text-examples">
      <span class="text-hint">Try</span>
      {texts.map((text) => (
        <button key={text} type="button" class="text-example" onClick={() => onChoose(text)}>
          {text}
        </button>
      ))}
    </div>
  )
}
