import { declarationsOf } from './declarations.ts'
import type { Alphabet } from './languages.ts'
import { plainText } from './plain-text.ts'
import type { Vocabulary } from './vocabulary.ts'

/** How much likelier a piece is in texts of some languages than in those of others: the logarithm of the ratio. */
export type Evidence = (piece: string) => number

/**
 * Evidence by the letters that follow each other, for languages that share their letters with others: "▁Straße" is German
 * and "▁street" is not.
 * @returns undefined where one of the languages has no text
 */
export async function evidenceFor(
  languages: readonly string[],
  alphabet: Alphabet,
  vocabulary: Vocabulary,
): Promise<Evidence | undefined> {
  const declarations = await declarationsOf(languages)
  if (declarations === undefined) return undefined
  const rivals = declarations.others.filter((text) => sharesLetters(text, alphabet))
  if (rivals.length === 0) return undefined
  const own = letterModel(declarations.own)
  const other = letterModel(rivals.join(' '))
  const textOf = plainText(vocabulary)
  return (piece) => {
    const text = textOf(piece)
    return text === undefined || !/\p{L}/u.test(text) ? 0 : own(text) - other(text)
  }
}

/** Of a text's letters, those that have to be in an alphabet for its language to be a rival. */
const SHARED_LETTERS = 0.5

function sharesLetters(text: string, alphabet: Alphabet): boolean {
  const letters = text.match(/\p{L}/gu) ?? []
  return letters.filter(alphabet).length > SHARED_LETTERS * letters.length
}

/** Weights of what a letter is predicted by: by nothing, its own frequency, and the one to three letters before it. */
const WEIGHTS = [0.05, 0.05, 0.15, 0.3, 0.45] as const
/** Likelihood of a letter that no text has. */
const UNSEEN = 1e-4

/** The logarithm of a text's likelihood by a text's letters: interpolated n-grams of one to four. */
function letterModel(sample: string): (text: string) => number {
  const letters = ` ${sample.toLowerCase()} `
  const counts = new Map<string, number>()
  for (let at = 0; at < letters.length; at++) {
    for (let length = 1; length <= 4 && at + length <= letters.length; length++) {
      const run = letters.slice(at, at + length)
      counts.set(run, (counts.get(run) ?? 0) + 1)
    }
  }
  const countOf = (run: string): number => counts.get(run) ?? 0
  return (text) => {
    const lower = text.toLowerCase()
    let sum = 0
    for (let at = 1; at < lower.length; at++) {
      let likelihood = WEIGHTS[0] * UNSEEN + WEIGHTS[1] * (countOf(lower[at] ?? '') / letters.length)
      for (let before = 1; before <= 3 && before <= at; before++) {
        const context = countOf(lower.slice(at - before, at))
        if (context === 0) break
        likelihood += (WEIGHTS[before + 1] ?? 0) * (countOf(lower.slice(at - before, at + 1)) / context)
      }
      sum += Math.log(likelihood)
    }
    return sum
  }
}
