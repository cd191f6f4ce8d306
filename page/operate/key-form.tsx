import { useState } from 'preact/hooks'
import { failureWords } from '../state/failure-words.ts'
import { Button, Notice, TextInput } from '../ui/index.ts'

interface Props {
  /** Why the last key was refused. */
  readonly refused: unknown
  readonly onKey: (key: string) => void
}

/** Asks for a key that may read the figures. */
export function KeyForm({ onKey, refused }: Props) {
  const [draft, setDraft] = useState('')
  return (
    <>
      <p class="lead">
        Health, traffic, models, cost, origins and recent changes of this Worker, of all its isolates together. Only the
        operator and keys with the action <code>metrics</code> see them.
      </p>
      {refused !== undefined && (
        <Notice kind="bad" title="The Worker does not show the figures for this key">
          <p>{failureWords(refused, true).text}</p>
        </Notice>
      )}
      <form
        class="operate-key"
        onSubmit={(event) => {
          event.preventDefault()
          onKey(draft.trim())
        }}
      >
        <TextInput
          label="Key"
          kind="secret"
          value={draft}
          onInput={setDraft}
          hint="It stays in the memory of this tab and is gone when you close or reload it."
        />
        <Button kind="primary" type="submit" disabled={draft.trim() === ''}>
          Show operations
        </Button>
      </form>
    </>
  )
}
