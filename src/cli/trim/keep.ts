import { UsageError } from '../terminal/command-line.ts'
import { ancestorsIn } from './ancestors.ts'
import { bareText } from './required.ts'
import type { Vocabulary } from './vocabulary.ts'

export interface KeepOptions {
  /** Numbers that stay in any case. */
  readonly required: ReadonlySet<number>
  /** Numbers of pieces that are wanted, the most important first. */
  readonly wanted: Iterable<number>
  /** Pieces at the most, required ones included; left out: all that are wanted. */
  readonly most?: number | undefined
}

/**
 * The numbers that stay, rising: required ones and wanted ones, each with the pieces that it is made of and the characters
 * in it, as far as there is room.
 * @throws UsageError where the required ones alone are more than there is room for
 */
export function keptIds(vocabulary: Vocabulary, { required, wanted, most = Number.POSITIVE_INFINITY }: KeepOptions) {
  const kept = new Set(required)
  const ancestors = ancestorsIn(vocabulary)
  const charactersOf = characterIds(vocabulary)
  const needs = (id: number): number[] => {
    const needed = new Set<number>()
    for (const each of [...ancestors(id), ...charactersOf(id)]) if (!kept.has(each)) needed.add(each)
    return [...needed]
  }
  for (const id of required) for (const each of needs(id)) kept.add(each)
  if (kept.size > most) {
    throw new UsageError(
      `--vocabulary ${most} is too small: special and added tokens, bytes and single characters alone are ${kept.size}. Give at least ${kept.size}.`,
    )
  }
  for (const id of wanted) {
    if (kept.has(id)) continue
    const needed = needs(id)
    if (kept.size + needed.length > most) continue
    for (const each of needed) kept.add(each)
  }
  return Int32Array.from(kept).sort()
}

/** The pieces of the single characters of a piece, at every place in a word. */
function characterIds({ added, idOf, kind, prefix, suffix, texts }: Vocabulary): (id: number) => number[] {
  return (id) => {
    const text = texts[id]
    if (text === undefined || kind === 'WordLevel' || added.has(id)) return []
    const ids: number[] = []
    for (const character of new Set(bareText(text, prefix, suffix))) {
      for (const form of new Set([character, `${prefix}${character}`, `${character}${suffix}`])) {
        const own = idOf.get(form)
        if (own !== undefined) ids.push(own)
      }
    }
    return ids
  }
}
