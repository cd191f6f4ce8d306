import { UsageError } from './command-line.ts'

/** What `parseArgs` gives. */
export type OptionValues = Readonly<Record<string, string | boolean | readonly (string | boolean)[] | undefined>>

/** @throws UsageError if it is empty, as a shell expands an unset variable */
export function text(values: OptionValues, name: string): string | undefined {
  const value = values[name]
  if (value === '') throw new UsageError(`--${name} is empty. Give it a value, or leave it out.`)
  return typeof value === 'string' ? value : undefined
}

export function flag(values: OptionValues, name: string): boolean | undefined {
  const value = values[name]
  return typeof value === 'boolean' ? value : undefined
}

/** @throws UsageError where one of them is empty */
export function list(values: OptionValues, name: string): string[] {
  const value = values[name]
  if (!Array.isArray(value)) return []
  if (value.includes('')) throw new UsageError(`--${name} is empty. Give it a value, or leave it out.`)
  return value.map(String)
}

/** @throws UsageError where it is none of these */
export function oneOf<T extends string>(values: OptionValues, name: string, known: readonly T[]): T | undefined {
  const value = text(values, name)
  if (value === undefined || (known as readonly string[]).includes(value)) return value as T | undefined
  throw new UsageError(`--${name} takes ${known.join(', ')}, not "${value}".`)
}

/** @throws UsageError where it is not a number within these bounds */
export function numberIn(values: OptionValues, name: string, least: number, most: number): number | undefined {
  const value = text(values, name)
  if (value === undefined) return undefined
  const number = Number(value)
  if (value.trim() === '' || !(number >= least && number <= most)) {
    throw new UsageError(`--${name} must be a number from ${least} to ${most}; "${value}" is not.`)
  }
  return number
}

/** @throws UsageError where it is not a whole number within these bounds */
export function integerIn(values: OptionValues, name: string, least: number, most: number): number | undefined {
  const number = numberIn(values, name, least, most)
  if (number === undefined || Number.isInteger(number)) return number
  throw new UsageError(`--${name} must be a whole number from ${least} to ${most}; "${values[name]}" is not.`)
}
