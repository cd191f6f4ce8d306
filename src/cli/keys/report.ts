import type { KeyUpdate, NewSecret } from '../../access/keys/writer.ts'
import type { Target } from '../target/target.ts'
import { understandable } from '../target/target.ts'
import { UsageError } from '../terminal/command-line.ts'
import { describeKey, keyJson } from './describe.ts'
import { keyDelayOf } from './open.ts'
import { signingNote } from './signing-file.ts'

interface Said {
  readonly json?: boolean | undefined
  readonly quiet?: boolean | undefined
  /** The file of a signing key that was made for the key. */
  readonly signing?: string | undefined
}

/** Refuses two forms of output at once. @throws UsageError */
export function assertOneForm({ quiet, json }: Said): void {
  if (quiet && json) throw new UsageError('Use either --quiet or --json.')
}

/**
 * What is printed of a new secret, once and never again: the text alone with `--quiet`.
 * @param now in milliseconds since 1970
 */
export function reportSecret(update: NewSecret, target: Target, options: Said & { readonly now: number }): string {
  const { record, text } = update
  noteOutdated(update)
  if (options.quiet) return text
  if (options.json) return JSON.stringify({ key: text, ...keyJson(record, {}, options.now) }, null, 2)
  return [
    describeKey(record, {}, options.now),
    '',
    text,
    '',
    'This is shown once and is stored nowhere. Callers send it as "Authorization: Bearer <key>".',
    ...(options.signing === undefined ? [] : [signingNote(options.signing)]),
    keyDelayOf(target),
  ].join('\n')
}

/** What is printed of another change. */
export function reportUpdate(
  update: KeyUpdate,
  target: Target,
  { json, now, done, signing }: Said & { readonly now: number; readonly done: string },
): string {
  noteOutdated(update)
  const { record, changed } = update
  if (json) return JSON.stringify({ changed, ...keyJson(record, {}, now) }, null, 2)
  if (!changed) return `${describeKey(record, {}, now)}\n\nThe key needs no change.`
  const notes = signing === undefined ? [] : [signingNote(signing)]
  return [describeKey(record, {}, now), '', done, ...notes, keyDelayOf(target)].join('\n')
}

/** A copy that could not be written is a failure: it may still let in a key that was revoked. */
function noteOutdated({ outdated }: KeyUpdate): void {
  if (outdated === undefined) return
  console.error((understandable(outdated) as Error).message)
  process.exitCode = 1
}
