import type { LabelOutcome } from './labels.ts'
import type { Settings } from './settings.ts'

/** The effect of a key's value on this model: undefined if it changes nothing. */
export type Finding = { readonly note: string } | { readonly problem: string } | undefined

/**
 * The rule of a key. `read`: other code applies the value. `irrelevant`: no value changes the model's inputs. A
 * function decides by the value, for keys of which only some values are supported.
 */
export type KeyRule = 'read' | 'irrelevant' | ((value: unknown, settings: Settings) => Finding)
export type KeyRules = Readonly<Record<string, KeyRule>>

/** Unknown keys that one note names; the rest is counted. */
const MOST_NAMED = 12

/**
 * Checks every key of a settings file, so that no key that could change pixels, samples or tokens is silently ignored:
 * one note lists all keys without a rule. In these files null means "not set", and is skipped.
 * @param file its name, for the note
 * @returns notes, or the first problem
 */
export function checkKeys(file: string, settings: Settings, rules: KeyRules): LabelOutcome<readonly string[]> {
  const notes: string[] = []
  const unknown: string[] = []
  for (const [key, value] of Object.entries(settings)) {
    if (value === null || value === undefined) continue
    const rule = Object.hasOwn(rules, key) ? rules[key] : undefined
    if (rule === undefined) unknown.push(key)
    if (typeof rule !== 'function') continue
    const finding = rule(value, settings)
    if (finding === undefined) continue
    if ('problem' in finding) return finding
    notes.push(finding.note)
  }
  if (unknown.length > 0) notes.push(unknownNote(file, unknown))
  return { value: notes }
}

function unknownNote(file: string, unknown: readonly string[]): string {
  const named = unknown.slice(0, MOST_NAMED).map((key) => JSON.stringify(key.slice(0, 64)))
  const more = unknown.length > MOST_NAMED ? ` and ${unknown.length - MOST_NAMED} more` : ''
  return `${file}: Verge ignores ${named.join(', ')}${more}, which it does not know. Compare an output with the original's`
}

/** A rule for a switch that the server has in one position only. */
export function only(supported: unknown, otherwise: Exclude<Finding, undefined>): KeyRule {
  return (value) => (value === supported ? undefined : otherwise)
}
