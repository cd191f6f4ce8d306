import { useState } from 'preact/hooks'
import type { TypedNumber } from '../../media/typed-number.ts'
import { TextInput } from '../../ui/index.ts'

export interface NumberField {
  readonly text: string
  readonly onInput: (text: string) => void
  /** Undefined where nothing is typed, or nothing that can be used. */
  readonly value: number | undefined
  readonly problem: string | undefined
}

/** A number that may be left out. */
export function useNumber(read: (text: string) => TypedNumber): NumberField {
  const [text, setText] = useState('')
  const typed = read(text)
  return {
    text,
    onInput: setText,
    value: 'value' in typed ? typed.value : undefined,
    problem: 'problem' in typed ? typed.problem : undefined,
  }
}

export interface NumberInputProps {
  readonly label: string
  readonly field: NumberField
  /** What an empty field means. */
  readonly empty: string
}

export function NumberInput({ empty, field, label }: NumberInputProps) {
  const { onInput, problem, text } = field
  return (
    <TextInput
      label={label}
      kind="number"
      value={text}
      onInput={onInput}
      placeholder={empty}
      {...(problem !== undefined && { hint: problem })}
    />
  )
}
