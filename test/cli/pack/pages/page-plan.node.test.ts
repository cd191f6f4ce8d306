import { describe, expect, it } from 'vitest'
import { LEAST_TABLE_BYTES, pagePlanner } from '../../../../src/cli/pack/pages/page-plan.ts'
import type { Paging } from '../../../../src/compile/paged.ts'
import { TextTokenizer } from '../../../../src/media/text/tokenizer.ts'
import { inventedTokenizer, inventedWords } from '../../../../synthetic/vocabularies.ts'

const ROWS = 12_000
const TOKENIZER = new TextEncoder().encode(JSON.stringify(inventedTokenizer('Unigram', ROWS)))
const TABLE = { rows: ROWS, rowBytes: 388 }

function planned(plan: Paging | undefined): Paging {
  if (plan === undefined) throw new Error('the table is not paged')
  return plan
}

describe('which tables are paged', () => {
  it('are those of at least 4 MiB', () => {
    const plan = pagePlanner({ hotRows: 100 })
    const rows = LEAST_TABLE_BYTES / 512
    expect(plan({ rows: rows - 1, rowBytes: 512 })).toBeUndefined()
    expect(planned(plan({ rows, rowBytes: 512 }))).toMatchObject({ hot: 100, rowsPerPage: 64 })
  })

  it('are not those whose rows are all hot', () => {
    expect(pagePlanner({ hotRows: ROWS })(TABLE)).toBeUndefined()
    // 6 MiB are hot where nothing else is said.
    expect(pagePlanner({})(TABLE)).toBeUndefined()
    expect(planned(pagePlanner({})({ rows: 250_037, rowBytes: 384 })).hot).toBe(16_384)
  })
})

it.each([
  [384, 64],
  [388, 64],
  [768, 32],
  [4_096, 8],
  [40_000, 1],
])('rows of %i bytes lie in pages of %i', (rowBytes, rowsPerPage) => {
  expect(planned(pagePlanner({ hotRows: 1 })({ rows: 100_000, rowBytes })).rowsPerPage).toBe(rowsPerPage)
})

describe('the hot rows', () => {
  const rare = inventedWords(ROWS).filter((word) => /^[a-z]{8,}$/.test(word))
  const tokenizer = TextTokenizer.parse(TOKENIZER)
  const hotOf = (options: Parameters<typeof pagePlanner>[0]): Set<number> => {
    const { hot, order } = planned(pagePlanner({ tokenizer: TOKENIZER, hotRows: 200, ...options })(TABLE))
    return new Set(order.subarray(0, hot))
  }
  const idsOf = (text: string): number[] => tokenizer.tokens(text).map(({ id }) => id)

  it('have the special tokens', () => {
    for (const id of [0, 1, 2, 3]) expect(hotOf({}).has(id)).toBe(true)
  })

  it('have the tokens of prompts and of texts', () => {
    const [one = '', other = ''] = rare.slice(-2)
    const named = [...idsOf(one), ...idsOf(other)]
    expect(named.every((id) => hotOf({}).has(id))).toBe(false)
    const hot = hotOf({ prompts: [one], texts: [other] })
    expect(named.every((id) => hot.has(id))).toBe(true)
  })
})
