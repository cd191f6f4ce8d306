import { type Aligned, Rewriter } from './aligned.ts'
import { UnitTable } from './unit-table.ts'

/**
 * What can be joined with, or ordered before, the character in front of it: marks, the vowels and last consonants of
 * Hangul, and what a compatibility form turns into one of them. test/media/text/tokenizer-rust.node.test.ts goes through all of
 * Unicode to show that nothing else does.
 */
export const FOLLOWING = '\\p{M}\\u0e33\\u0eb3\\u1160-\\u11ff\\u3133-\\u3163\\uff9e-\\uffdc\\u{16d67}\\u{16d68}'

const FOLLOWS = new RegExp(`[${FOLLOWING}]`, 'u')
const OTHER = 1
const FOLLOWER = 2
const followers = new UnitTable((unit) => (FOLLOWS.test(String.fromCharCode(unit)) ? FOLLOWER : OTHER))

/** As many non-starters as Unicode's Stream-Safe Text Format allows in a row (UAX #15, 13). No language writes more. */
const LONGEST_RUN = 30

type Form = 'NFC' | 'NFD' | 'NFKC' | 'NFKD'

const SAME = 1
const CHANGES = 2

/**
 * One of Unicode's normal forms, group by group: a character with what follows it. No normal form changes anything across the
 * ends of such a group, but for those that end because they are full. ICU takes the square of a run of marks to put them in
 * order, so a run is cut after 30 and each part is put in order by itself: in linear time, and the same as the whole but for
 * runs that are longer.
 */
export function normalForm(form: Form): (text: Aligned) => Aligned {
  const changes = new UnitTable((unit) => {
    const character = String.fromCharCode(unit)
    return character.normalize(form) === character ? SAME : CHANGES
  })
  return (text) => {
    const whole = text.text
    const out = new Rewriter(text)
    let kept = 0
    for (let at = 0, end = 0; at < whole.length; at = end) {
      end = at + 1
      // ASCII that nothing follows, which begins at U+0300.
      if (whole.charCodeAt(at) < 0x80 && !(whole.charCodeAt(end) >= 0x300)) continue
      const first = widthAt(whole, at)
      end = runEnd(whole, at + first)
      // What stands alone is most often in normal form already.
      if (end === at + first && first === 1 && changes.of(whole.charCodeAt(at)) === SAME) continue
      const group = whole.slice(at, end)
      const own = group.normalize(form)
      if (own === group) continue
      out.keep(kept, at)
      replaceGroup(out, group, at, own, form)
      kept = end
    }
    if (kept === 0) return text
    out.keep(kept, whole.length)
    return out.finish()
  }
}

/** The end of what follows a character. */
function runEnd(text: string, from: number): number {
  let end = from
  for (let count = 0; count < LONGEST_RUN && end < text.length; count++) {
    const width = widthAt(text, end)
    const follows =
      width === 1 ? followers.of(text.charCodeAt(end)) === FOLLOWER : FOLLOWS.test(text.slice(end, end + width))
    if (!follows) break
    end += width
  }
  return end
}

/** UTF-16 units of the character at a place. */
function widthAt(text: string, at: number): number {
  const unit = text.charCodeAt(at)
  return unit >= 0xd800 && unit <= 0xdbff && (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1
}

/** Each character keeps its own place where none was joined with another, or put behind it; else all have the group's. */
function replaceGroup(out: Rewriter, group: string, index: number, own: string, form: string): void {
  const characters = Array.from(group)
  const alone = characters.length === 1 ? [own] : characters.map((character) => character.normalize(form))
  if (alone.join('') !== own) {
    out.replace(own, index, index + group.length)
    return
  }
  let at = index
  for (const [i, character] of characters.entries()) {
    out.replace(alone[i] ?? '', at, at + character.length)
    at += character.length
  }
}
