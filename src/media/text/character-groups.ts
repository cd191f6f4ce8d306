import { type Aligned, sliceOf } from './aligned.ts'

/** What becomes of a character: it is left out, stands alone, or is joined with those of its own kind beside it. */
export const GROUP = { none: 1, alone: 2, first: 3, second: 4 } as const

type Group = (typeof GROUP)[keyof typeof GROUP]

/**
 * Words of characters of one group, as regular expressions would find them. Each character that a tokenizer meets is
 * classified once, and kept in a table; characters beyond U+FFFF are rarer, and classified each time.
 */
export function grouped(groupOf: (character: string) => Group): (text: Aligned) => Aligned[] {
  let known = new Uint8Array(0x80)
  const ofUnit = (unit: number): number => {
    if (unit >= known.length) {
      const grown = new Uint8Array(unit < 0x1000 ? 0x1000 : 0x10000)
      grown.set(known)
      known = grown
    }
    const group = groupOf(String.fromCharCode(unit))
    known[unit] = group
    return group
  }
  return (text) => {
    const whole = text.text
    const words: Aligned[] = []
    let [start, current] = [0, GROUP.none as number]
    for (let at = 0; at < whole.length; ) {
      const unit = whole.charCodeAt(at)
      const code = unit >= 0xd800 && unit <= 0xdbff ? (whole.codePointAt(at) ?? unit) : unit
      const group = code > 0xffff ? groupOf(String.fromCodePoint(code)) : known[unit] || ofUnit(unit)
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
