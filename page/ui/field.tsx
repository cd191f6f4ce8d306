import type { ComponentChildren } from 'preact'
import { useId } from 'preact/hooks'

interface Common {
  readonly label: string
  /** A sentence under the control. */
  readonly hint?: ComponentChildren
}

interface FieldProps extends Common {
  /** @param ids attributes that connect the control with its label and its hint */
  readonly children: (ids: { readonly id: string; readonly 'aria-describedby'?: string }) => ComponentChildren
}

/** A label, a control and a hint that belong together, for screen readers too. */
function Field({ children, hint, label }: FieldProps) {
  const id = useId()
  const hintId = `${id}-hint`
  return (
    <div class="field">
      <label class="field-label" for={id}>
        {label}
      </label>
      {children(hint === undefined ? { id } : { id, 'aria-describedby': hintId })}
      {hint !== undefined && (
        <div class="field-hint" id={hintId}>
          {hint}
        </div>
      )}
    </div>
  )
}

interface TextAreaProps extends Common {
  readonly value: string
  readonly onInput: (value: string) => void
  readonly rows?: number
  /** Set in the font of code. */
  readonly code?: boolean
}

export function TextArea({ code = false, hint, label, onInput, rows = 4, value }: TextAreaProps) {
  return (
    <Field label={label} hint={hint}>
      {(ids) => (
        <textarea
          {...ids}
          class={code ? 'control control-code' : 'control'}
          rows={rows}
          value={value}
          spellcheck={!code}
          onInput={(event) => onInput(event.currentTarget.value)}
        />
      )}
    </Field>
  )
}

interface TextInputProps extends Common {
  readonly value: string
  readonly onInput: (value: string) => void
  /** `number`: phones show digits. `secret`: the characters are hidden. Default: `text`. */
  readonly kind?: 'text' | 'number' | 'secret'
  readonly placeholder?: string
}

export function TextInput({ hint, kind = 'text', label, onInput, placeholder, value }: TextInputProps) {
  return (
    <Field label={label} hint={hint}>
      {(ids) => {
        const attributes = {
          ...ids,
          class: 'control',
          value,
          autocomplete: 'off',
          ...(placeholder !== undefined && { placeholder }),
          onInput: (event: { readonly currentTarget: HTMLInputElement }) => onInput(event.currentTarget.value),
        } as const
        if (kind === 'secret') return <input {...attributes} type="password" />
        return <input {...attributes} type="text" inputmode={kind === 'number' ? 'decimal' : 'text'} />
      }}
    </Field>
  )
}
