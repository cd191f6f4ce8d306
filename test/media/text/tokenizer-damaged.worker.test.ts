import { describe, expect, it } from 'vitest'
import { isVergeError } from '../../../src/core/errors.ts'
import { TextTokenizer } from '../../../src/media/text/tokenizer.ts'
import golden from '../../fixtures/tokenizations.json'

/** What stands where something else should. */
const JUNK = [null, 0, -1, 1.5, 1e12, '', 'x', [], {}, [[]], true, '\ud800', ['a', 'b'], { type: 'Sequence' }, 'a b c']
const MORE_JUNK = [{ String: '' }, { Regex: '(' }, { type: 'Precompiled', precompiled_charsmap: 'AAAAAAAAAAAA' }]

/** A file with one or two of its values replaced or left out, the same for every seed. */
function damaged(file: object, seed: number): unknown {
  let state = seed
  const random = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return (state >>> 8) % below
  }
  const copy = structuredClone(file) as Record<string, unknown>
  // A vocabulary has so many entries that little else would be met.
  const parts = Object.keys(copy).filter((key) => key !== 'model' || random(3) === 0)
  for (let change = 0; change <= random(2); change++) {
    let node = copy
    let key = parts[random(parts.length)] ?? ''
    for (let depth = 0; depth < 4 && random(4) > 0; depth++) {
      const next = node[key]
      if (typeof next !== 'object' || next === null) break
      const keys = Object.keys(next)
      if (keys.length === 0) break
      node = next as Record<string, unknown>
      key = keys[random(keys.length)] ?? ''
    }
    const junk = [...JUNK, ...MORE_JUNK]
    if (random(5) === 0) delete node[key]
    else node[key] = structuredClone(junk[random(junk.length)])
  }
  return copy
}

describe.each(Object.entries(golden.cases))('a damaged tokenizer (%s)', (_, { file }) => {
  it('is refused as such, or works in whole numbers', () => {
    let [works, refused] = [0, 0]
    for (let seed = 1; seed <= 400; seed++) {
      try {
        const tokenizer = TextTokenizer.parse(new TextEncoder().encode(JSON.stringify(damaged(file, seed))))
        works++
        for (const text of golden.texts.slice(seed % 30, (seed % 30) + 4)) {
          const { ids, typeIds } = tokenizer.encode(text, 64)
          expect([...ids, ...typeIds].every((id) => Number.isInteger(id) && id >= 0)).toBe(true)
          expect(typeof tokenizer.join(ids.slice(0, 3).map((id) => tokenizer.tokenText(id)))).toBe('string')
          tokenizer.encodePair(text, 'x', 64)
        }
      } catch (error) {
        if (!isVergeError(error, 'manifest_invalid')) throw error
        refused++
      }
    }
    expect(works).toBeGreaterThan(50)
    expect(refused).toBeGreaterThan(50)
  })
})
