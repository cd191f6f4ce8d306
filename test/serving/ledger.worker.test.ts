import { describe, expect, it } from 'vitest'
import { VergeError } from '../../src/core/errors.ts'
import { charged, chargedText, openLedger, type RunLedger } from '../../src/serving/ledger.ts'

/** A ledger whose caller has so much left, and what was taken and given back. */
function limited(units = 100, tokens = 100) {
  const left = { units, tokens }
  const take = async (what: 'units' | 'tokens', amount: number): Promise<void> => {
    if (amount > left[what]) throw new VergeError('budget_spent', `No ${what} are left.`)
    left[what] -= amount
  }
  const ledger: RunLedger = {
    ...openLedger(),
    permit: {
      state: undefined,
      low: false,
      spend: (amount) => take('units', amount),
      tokens: (input, output) => take('tokens', input + output),
      refund({ tokens: back = 0, units: paid = 0 }) {
        left.units += paid
        left.tokens += back
      },
    },
  }
  return { ledger, left }
}

async function* numbers(count: number, failure?: Error): AsyncGenerator<number, undefined> {
  for (let i = 0; i < count; i++) yield i
  if (failure !== undefined) throw failure
}

describe('a run that is charged', () => {
  it('is paid for before it is made', async () => {
    const { ledger, left } = limited(10)
    const seen = await charged(ledger, 4, async () => left.units)
    expect(seen).toBe(6)
    expect(ledger.units).toBe(4)
  })

  it('is not made where the budget has no room for it', async () => {
    const { ledger, left } = limited(10)
    let made = 0
    await expect(charged(ledger, 11, async () => made++)).rejects.toMatchObject({ code: 'budget_spent' })
    expect([made, left.units, ledger.units]).toEqual([0, 10, 0])
  })

  it.each(['overloaded', 'engine_full', 'weights_unavailable', 'origin_failed', 'session_lost'] as const)(
    'costs nothing where it was not computed: %s',
    async (code) => {
      const { ledger, left } = limited(10)
      const fails = charged(ledger, 4, async () => {
        throw new VergeError(code, 'It was not made.')
      })
      await expect(fails).rejects.toMatchObject({ code })
      expect([left.units, ledger.units]).toEqual([10, 0])
      // So that another place is paid for once.
      await charged(ledger, 4, async () => undefined)
      expect([left.units, ledger.units]).toEqual([6, 4])
    },
  )

  it.each(['run_rejected', 'engine_aborted', 'cancelled', 'deadline_exceeded'] as const)(
    'costs what it took where it failed, or nobody waited for it: %s',
    async (code) => {
      const { ledger, left } = limited(10)
      const fails = charged(ledger, 4, async () => {
        throw new VergeError(code, 'It was made.')
      })
      await expect(fails).rejects.toMatchObject({ code })
      expect([left.units, ledger.units]).toEqual([6, 4])
    },
  )

  it('needs no ledger', async () => {
    expect(await charged(undefined, 4, async () => 'made')).toBe('made')
  })
})

describe('a text that is charged', () => {
  const CHARGE = { prompt: 5, most: 10, units: 30, perToken: 2 }
  const begin = (tokens: AsyncGenerator<number, undefined>) => async () => ({ tokens })

  it('reserves the prompt and the longest answer, and gives back what was not written', async () => {
    const { ledger, left } = limited()
    const { tokens } = await chargedText(ledger, CHARGE, begin(numbers(3)))
    expect(left).toEqual({ units: 70, tokens: 85 })
    const read: number[] = []
    for await (const token of tokens) read.push(token)
    expect(read).toEqual([0, 1, 2])
    // Seven tokens were not written, with two units each.
    expect(left).toEqual({ units: 84, tokens: 92 })
    expect(ledger).toMatchObject({ units: 16, inputTokens: 5, outputTokens: 3 })
  })

  it('gives back the rest where its reader leaves, and where it breaks off', async () => {
    const left = await Promise.all([
      (async () => {
        const given = limited()
        const { tokens } = await chargedText(given.ledger, CHARGE, begin(numbers(10)))
        for await (const token of tokens) if (token === 3) break
        return given
      })(),
      (async () => {
        const given = limited()
        const { tokens } = await chargedText(given.ledger, CHARGE, begin(numbers(4, new Error('broken'))))
        await expect(
          (async () => {
            for await (const _ of tokens);
          })(),
        ).rejects.toThrow('broken')
        return given
      })(),
    ])
    for (const each of left) {
      expect(each.left).toEqual({ units: 82, tokens: 91 })
      expect(each.ledger).toMatchObject({ units: 18, outputTokens: 4 })
    }
  })

  it('gives back all where it does not begin', async () => {
    const { ledger, left } = limited()
    const fails = chargedText(ledger, CHARGE, async () => {
      throw new VergeError('engine_full', 'No room.')
    })
    await expect(fails).rejects.toMatchObject({ code: 'engine_full' })
    expect(left).toEqual({ units: 100, tokens: 100 })
    expect(ledger).toMatchObject({ units: 0, inputTokens: 0, outputTokens: 0 })
  })

  it('does not begin where tokens or units are missing, and reserves nothing then', async () => {
    for (const given of [limited(100, 14), limited(29, 100)]) {
      const before = { ...given.left }
      let begun = 0
      const fails = chargedText(given.ledger, CHARGE, async () => {
        begun++
        return { tokens: numbers(1) }
      })
      await expect(fails).rejects.toMatchObject({ code: 'budget_spent' })
      expect([begun, given.left]).toEqual([0, before])
    }
  })
})
