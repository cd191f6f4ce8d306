import { KEY_ID, KEY_PREFIX, parseKey } from '../../access/keys/form.ts'
import { keyRecordKey } from '../../access/keys/record.ts'
import type { Store } from '../../weights/store.ts'
import { closest } from '../terminal/closest.ts'
import { UsageError } from '../terminal/command-line.ts'
import { printable } from '../terminal/format.ts'
import { listKeys } from './inventory.ts'

/** What a person gives to say which key is meant. The text of a whole key is neither kept nor repeated. */
export type KeyReference = { readonly id: string } | { readonly name: string }

/** @throws UsageError without a word of what was given, if it looks like a secret */
export function keyReference(positionals: readonly string[], command: string): KeyReference {
  const [given, ...more] = positionals
  const usage = `npx verge keys ${command} ID`
  if (given === undefined || given === '') throw new UsageError(`Specify a key by its id or name: ${usage}`)
  if (more.length > 0) throw new UsageError(`Specify one key only: ${usage}`)
  return referenceTo(given)
}

/** @throws UsageError without a word of what was given, if it looks like a secret */
export function referenceTo(given: string): KeyReference {
  if (given.startsWith(KEY_PREFIX)) return { id: idOf(given) }
  return KEY_ID.test(given) ? { id: given } : { name: given }
}

function idOf(text: string): string {
  const whole = parseKey(text.trim())
  if (whole !== undefined) return whole.id
  const rest = text.slice(KEY_PREFIX.length)
  if (KEY_ID.test(rest)) return rest
  throw new UsageError(
    'This is not a whole key: its length or its checksum is wrong. Give its id instead, the 12 characters after ' +
      `"${KEY_PREFIX}".`,
  )
}

/** The id of the key that is meant. @throws UsageError that names what exists */
export async function findKey(truth: Store, reference: KeyReference, signal: AbortSignal): Promise<string> {
  if ('id' in reference) {
    const { id } = reference
    if ((await truth.head(keyRecordKey(id), { signal })) !== null) return id
  }
  const { keys, unreadable } = await listKeys(truth, signal)
  const given = 'id' in reference ? reference.id : reference.name
  const named = keys.filter(({ name }) => name === given)
  const [only, ...others] = named
  if (only !== undefined && others.length === 0) return only.id
  if (only !== undefined) {
    throw new UsageError(
      `Several keys are called "${printable(given)}": ${named.map(({ id }) => id).join(', ')}. Give an id.`,
    )
  }
  const known = [...keys.flatMap(({ id, name }) => [id, name]), ...unreadable.keys()]
  const meant = closest(given, known)
  const question = meant === undefined ? '' : ` Did you mean "${printable(meant)}"?`
  const all = keys.slice(0, MOST_NAMED).map(({ id, name }) => `${id} (${printable(name)})`)
  const listed =
    keys.length === 0
      ? 'There are no keys yet.'
      : `There are ${all.join(', ')}${keys.length > MOST_NAMED ? ', and others' : ''}.`
  throw new UsageError(`There is no key "${printable(given)}".${question} ${listed}`)
}

const MOST_NAMED = 10
