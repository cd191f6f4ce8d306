import { type Aligned, sliceOf } from './aligned.ts'
import { UnitTable } from './unit-table.ts'

/** What becomes of a character: it is left out, stands alone, or is joined with those of its own kind beside it. */
export const GROUP = { none: 1, alone: 2, first: 3, second: 4 } as const

type Group = (typeof GROUP)[keyof typeof GROUP]

/**
 * Words of characters of one group, as regular expressions would find them. Each character that a tokenizer meets is
 * classified once, and kept in a table; characters beyond U+FFFF are rarer, and classified each time.
 */
export function grouped(groupOf: (character: string) => Group): (text: Aligned) => Aligned[] {
  const table = new UnitTable((unit) => groupOf(String.fromCharCode(unit)))
  return (text) => {
    const whole = text.text
    const words: Aligned[] = []
    let [start, current] = [0, GROUP.none as number]
    for (let at = 0; at < whole.length; ) {
      const unit = whole.charCodeAt(at)
      const code = unit >= 0xd800 && unit <= 0xdbff ? (whole.codePointAt(at) ?? unit) : unit
      const group = code > 0xffff ? groupOf(String.fromCodePoint(code)) : table.of(unit)
      if (group !== current || group === GROUP.alone) {
        if (current !== GROUP.none) words.push(sliceOf(text, start, at))
        start = at
        current = group
      }
      at += code > 0xffff ? 2 : 1
    }
    if (current !== GROUP.none) words.push(sliceOf(text, start, whole.length))
    return words
  }
}
