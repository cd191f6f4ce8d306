import { useRef, useState } from 'preact/hooks'
import { Button, Said, TextInput } from '../ui/index.ts'

interface Props {
  readonly value: string
  /** Whether the Worker knows it; undefined as long as it has not said so. */
  readonly accepted: boolean | undefined
  readonly onKey: (key: string) => void
}

const STATES = { undefined: 'Key in use', false: 'Key not accepted', true: 'Operator' } as const

const UNKNOWN = 'The Worker does not know this key. It shows public models only.'

/** Where the operator enters the key that shows private models. The page keeps it in this tab's memory alone. */
export function KeyField({ accepted, onKey, value }: Props) {
  const [draft, setDraft] = useState('')
  const details = useRef<HTMLDetailsElement>(null)
  const use = (key: string): void => {
    onKey(key)
    setDraft('')
    if (details.current !== null) details.current.open = false
    details.current?.querySelector('summary')?.focus()
  }
  const said = value === '' || accepted === undefined ? '' : accepted ? 'The Worker knows this key.' : UNKNOWN
  return (
    <div class="key">
      {/* Outside of what is closed: nothing in there is read aloud. */}
      <Said>{said}</Said>
      <details
        ref={details}
        onKeyDown={(event) => {
          if (event.key === 'Escape') use(value)
        }}
      >
        <summary>{value === '' ? 'Operator key' : STATES[`${accepted}`]}</summary>
        <form
          class="key-form"
          onSubmit={(event) => {
            event.preventDefault()
            use(draft.trim())
          }}
        >
          {value !== '' && accepted === false && <p class="key-wrong">{UNKNOWN}</p>}
          <TextInput
            label="Operator key"
            kind="secret"
            value={draft}
            onInput={setDraft}
            hint="Shows private models, too. The key stays in the memory of this tab and is gone when you close or reload it."
          />
          <div class="key-actions">
            <Button kind="primary" type="submit" disabled={draft.trim() === ''}>
              Use key
            </Button>
            {value !== '' && <Button onClick={() => use('')}>Forget key</Button>}
          </div>
        </form>
      </details>
    </div>
  )
}
