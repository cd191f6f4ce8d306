/** Numbers of fields that may stay empty. Pure. */

/** What is typed: a number, nothing, or why it is neither. */
export type TypedNumber = { readonly value: number | undefined } | { readonly problem: string }

/** A whole number from 1 on. */
export function typedCount(text: string): TypedNumber {
  const trimmed = text.trim()
  if (trimmed === '') return { value: undefined }
  return /^[1-9]\d{0,4}$/.test(trimmed)
    ? { value: Number(trimmed) }
    : { problem: 'Write a whole number from 1 on, or leave the field empty.' }
}

/** A number from 0 to 1. */
export function typedShare(text: string): TypedNumber {
  const trimmed = text.trim()
  if (trimmed === '') return { value: undefined }
  return /^(?:0|1|[01]\.\d{0,9}|\.\d{1,9})$/.test(trimmed) && Number(trimmed) <= 1
    ? { value: Number(trimmed) }
    : { problem: 'Write a number from 0 to 1, such as 0.5, or leave the field empty.' }
}
