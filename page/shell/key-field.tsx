import { useRef, useState } from 'preact/hooks'
import type { CallerKind } from '../state/api.ts'
import { Button, Said, TextInput } from '../ui/index.ts'

interface Props {
  readonly value: string
  /** What the Worker takes it for, false if it does not accept it; undefined as long as it has not said so. */
  readonly accepted: CallerKind | false | undefined
  readonly onKey: (key: string) => void
}

const STATES = {
  undefined: 'Key in use',
  false: 'Key not accepted',
  operator: 'Operator',
  key: 'Your key',
  token: 'Browser token',
  'sign-in': 'Signed in',
} as const

const UNKNOWN = 'The Worker does not accept this key or token. Without a valid one it shows public models only.'

/**
 * Where the operator enters the key that shows private models, and others enter a key or a browser token of theirs. The page
 * keeps it in this tab's memory alone: never in its address, and never stored.
 */
export function KeyField({ accepted, onKey, value }: Props) {
  const [draft, setDraft] = useState('')
  const details = useRef<HTMLDetailsElement>(null)
  const use = (key: string): void => {
    onKey(key)
    setDraft('')
    if (details.current !== null) details.current.open = false
    details.current?.querySelector('summary')?.focus()
  }
  const said = value === '' || accepted === undefined ? '' : accepted ? 'The Worker accepts this key.' : UNKNOWN
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
        <summary>{value === '' ? 'Key or token' : STATES[`${accepted}`]}</summary>
        <form
          class="key-form"
          onSubmit={(event) => {
            event.preventDefault()
            use(draft.trim())
          }}
        >
          {value !== '' && accepted === false && <p class="key-wrong">{UNKNOWN}</p>}
          <TextInput
            label="Key or token"
            kind="secret"
            value={draft}
            onInput={setDraft}
            hint="Shows private models, too: those of the operator, of your key, or of a browser token. It stays in the memory of this tab and is gone when you close or reload it."
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
