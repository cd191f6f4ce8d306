import { KEY_ID, KEY_PREFIX } from '../../access/keys/form.ts'
import { UsageError } from '../terminal/command-line.ts'

/** The name of a new key. @throws UsageError */
export function keyNamed(positionals: readonly string[]): string {
  const [name, ...more] = positionals
  if (name === undefined || more.length > 0)
    throw new UsageError('Specify one name for the key: npx verge keys create NAME')
  return checkedName(name)
}

/** @throws UsageError if it would be taken for an id, or does not fit a table */
export function checkedName(name: string): string {
  if (name.startsWith(KEY_PREFIX)) throw new UsageError('A key cannot be the name of a key. Choose a name for people.')
  if (KEY_ID.test(name)) throw new UsageError(`"${name}" has the form of a key's id. Choose a name that does not.`)
  if (/^[^\p{C}\p{Zl}\p{Zp}]{1,64}$/u.test(name) && name.trim() === name) return name
  throw new UsageError('The name of a key must have 1 to 64 printable characters, without spaces at its ends.')
}
