import { VergeError } from '../../core/errors.ts'
import { isObject } from '../../core/objects.ts'

/** Whether a field's value asks for nothing. */
export type AsksNothing = (value: unknown) => boolean

/** What is as if it had been left out. */
export const isAbsent: AsksNothing = (value) => value === null || value === undefined
export const isEmptyList: AsksNothing = (value) => isAbsent(value) || (Array.isArray(value) && value.length === 0)
export const isFalse: AsksNothing = (value) => isAbsent(value) || value === false
export const isEmptyText: AsksNothing = (value) => isAbsent(value) || value === ''

/** Fields that a protocol has and that would change the answer, each with what it may be. */
export type LaterFields = Readonly<Record<string, AsksNothing>>

/**
 * Refuses what a protocol has and Verge does not do yet: an answer without it would be another one.
 * @param where what the fields stand in, with a dot at its end; empty for the request itself
 * @throws not_implemented
 */
export function refuseLater(value: unknown, later: LaterFields, where = ''): void {
  if (!isObject(value)) return
  for (const [name, asksNothing] of Object.entries(later)) {
    if (Object.hasOwn(value, name) && !asksNothing(value[name])) throw notYet(where + name)
  }
}

/** Refuses parts of messages that are no texts. @throws not_implemented */
export function refuseOtherParts(content: unknown, texts: ReadonlySet<string>, field: string): void {
  if (!Array.isArray(content)) return
  for (const [i, part] of content.entries()) {
    const type: unknown = isObject(part) ? part.type : undefined
    if (typeof type !== 'string' || texts.has(type)) continue
    throw new VergeError(
      'not_implemented',
      `The request, field "${field}[${i}]": Verge does not support parts of type "${type.slice(0, 64)}" yet. Send text alone.`,
      { details: { field: `${field}[${i}]` } },
    )
  }
}

export function notYet(field: string): VergeError {
  return new VergeError(
    'not_implemented',
    `The request, field "${field}": Verge does not support it yet. Remove the field.`,
    { details: { field } },
  )
}
