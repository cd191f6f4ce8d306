import { describe, expect, it } from 'vitest'
import type { Alias } from '../../../src/catalog/alias.ts'
import { type AliasChange, nextAlias, rolledBack } from '../../../src/catalog/alias-changes.ts'
import { checkAlias } from '../../../src/catalog/parse.ts'
import { onTrial, promoted, sharing, watchedOtherwise } from '../../../src/cli/release/changes.ts'

const digest = (letter: string): string => letter.repeat(64)

/** Versions 1 to 4, of which the first is live. */
const stable: Alias = {
  schema: 1,
  model: 'm',
  generation: 5,
  visibility: 'private',
  versions: { '1': digest('a'), '2': digest('b'), '3': digest('c'), '4': digest('d') },
  live: [{ version: '1', weight: 1 }],
  history: ['4'],
}

/** As a Worker reads what the change would write. */
const read = (old: Alias, change: AliasChange): Alias => checkAlias(nextAlias('m', old, change), 'm')
const live = (alias: Alias): string => alias.live.map(({ version, weight }) => `${version}=${weight}`).join(' ')

describe('onTrial', () => {
  it('gives the rest to what was live, and watches the version', () => {
    const alias = read(stable, onTrial('m', { version: '2', percent: 5 }, {}))
    expect(live(alias)).toBe('1=95 2=5')
    expect(alias.canary).toEqual({ version: '2', against: '1', guarded: true })
    expect(alias.history).toEqual(['4', '1'])
  })

  it('goes on with another share, and keeps what was said of the trial', () => {
    const begun = read(stable, onTrial('m', { version: '2', percent: 5 }, { shadow: 0.1, guarded: false }))
    const more = read(begun, onTrial('m', { version: '2', percent: 25 }, {}))
    expect(live(more)).toBe('1=75 2=25')
    expect(more.canary).toEqual({ version: '2', against: '1', shadow: 0.1, guarded: false })
    expect(read(more, onTrial('m', { version: '2', percent: 25 }, { guarded: true })).canary?.guarded).toBe(true)
  })

  it('compares a version that answers no caller, and lets it answer later', () => {
    const shadowed = read(stable, onTrial('m', { version: '2', percent: 0 }, { shadow: 0.2 }))
    expect(live(shadowed)).toBe('1=1')
    expect(shadowed.canary).toEqual({ version: '2', against: '1', shadow: 0.2, guarded: true })
    expect(live(read(shadowed, onTrial('m', { version: '2', percent: 5 }, {})))).toBe('1=95 2=5')
  })

  it('compares with the heaviest of several, which keep their proportions', () => {
    const two = read(
      stable,
      sharing(
        'm',
        [
          { version: '3', percent: 75 },
          { version: '4', percent: 25 },
        ],
        undefined,
      ),
    )
    expect(two.canary).toBeUndefined()
    const alias = read(two, onTrial('m', { version: '2', percent: 20 }, {}))
    expect(live(alias)).toBe('3=60 4=20 2=20')
    expect(alias.canary?.against).toBe('3')
    expect(live(read(alias, rolledBack('m')))).toBe('3=60 4=20')
  })

  it('takes rules, and keeps those that are not said again', () => {
    const terms = { rules: { errors: 0.02, cost: 2 } }
    const begun = read(stable, onTrial('m', { version: '2', percent: 5 }, terms))
    expect(begun.canary?.rules).toEqual(terms.rules)
    const more = read(begun, watchedOtherwise('m', { rules: { cost: 3, latency: 2 } }))
    expect(more.canary?.rules).toEqual({ errors: 0.02, cost: 3, latency: 2 })
  })

  it('is refused beside another trial, and where there is nothing to compare with', () => {
    const begun = read(stable, onTrial('m', { version: '2', percent: 5 }, {}))
    expect(() => read(begun, onTrial('m', { version: '3', percent: 5 }, {}))).toThrow(
      '"2" of model "m" is on trial already',
    )
    expect(() => read(stable, onTrial('m', { version: '1', percent: 5 }, {}))).toThrow('is the only live one')
    expect(() => read(stable, onTrial('m', { version: '9', percent: 5 }, {}))).toThrow('has no version "9"')
    expect(() => nextAlias('m', null, onTrial('m', { version: '1', percent: 5 }, {}))).toThrow('There is no model "m"')
  })

  it('may begin again after the canary was taken out, in a new generation', () => {
    const begun = nextAlias('m', stable, onTrial('m', { version: '2', percent: 5 }, {}))
    const stop = { generation: 6, version: '2', at: 1, reason: 'errors' }
    const stopped = checkAlias({ ...begun, stopped: stop }, 'm')
    const again = read(stopped, onTrial('m', { version: '2', percent: 5 }, {}))
    expect(again).toMatchObject({ generation: 7, canary: { version: '2', against: '1' } })
    expect(live(again)).toBe('1=95 2=5')
  })
})

describe('sharing', () => {
  const shares = (first: number, second: number) => [
    { version: '1', percent: first },
    { version: '2', percent: second },
  ]

  it('watches the version that is new', () => {
    const alias = read(stable, sharing('m', shares(90, 10), { shadow: 0.5 }))
    expect(live(alias)).toBe('1=90 2=10')
    expect(alias.canary).toEqual({ version: '2', against: '1', shadow: 0.5, guarded: true })
    expect(read(alias, sharing('m', shares(50, 50), undefined)).canary).toEqual(alias.canary)
  })

  it('watches nothing where none or several are new', () => {
    const both = [
      { version: '3', percent: 50 },
      { version: '4', percent: 50 },
    ]
    const alias = read(stable, sharing('m', both, undefined))
    expect(alias.canary).toBeUndefined()
    expect(read(alias, sharing('m', both, undefined)).canary).toBeUndefined()
    expect(() => read(stable, sharing('m', both, { guarded: false }))).toThrow(
      'Exactly one of the versions must be new',
    )
  })
})

describe('the end of a trial', () => {
  const begun = read(stable, onTrial('m', { version: '2', percent: 5 }, {}))

  it('makes the canary the only live version, from which a rollback leads back', () => {
    const alias = read(begun, promoted('m'))
    expect(live(alias)).toBe('2=1')
    expect(alias.canary).toBeUndefined()
    expect(alias.history).toEqual(['4', '1'])
    expect(live(read(alias, rolledBack('m')))).toBe('1=1')
  })

  it('leaves the stable version live, and a second rollback goes further back', () => {
    const back = read(begun, rolledBack('m'))
    expect(live(back)).toBe('1=1')
    expect(back.canary).toBeUndefined()
    expect(back.history).toEqual(['4'])
    expect(live(read(back, rolledBack('m')))).toBe('4=1')
  })

  it('needs a trial', () => {
    expect(() => read(stable, promoted('m'))).toThrow('No version of model "m" is on trial. Put one on trial')
    expect(() => read(stable, watchedOtherwise('m', { guarded: false }))).toThrow('is on trial')
    const stopped = checkAlias(
      { ...begun, stopped: { generation: 6, version: '2', at: 1, reason: 'errors: 9 of 40' } },
      'm',
    )
    expect(() => read(stopped, promoted('m'))).toThrow('canary 2 was taken out (errors: 9 of 40)')
  })
})

it('changes how a canary is watched, and nothing else', () => {
  const begun = read(stable, onTrial('m', { version: '2', percent: 5 }, { shadow: 0.1 }))
  const alias = read(begun, watchedOtherwise('m', { guarded: false }))
  expect(alias).toEqual({
    ...begun,
    generation: 7,
    canary: { version: '2', against: '1', shadow: 0.1, guarded: false },
  })
})

it('makes room for a canary in proportion', () => {
  const weights = { '1': 3, '2': 1, '3': 9 }
  const old = { ...stable, live: Object.entries(weights).map(([version, weight]) => ({ version, weight })) }
  expect(live(read(old, onTrial('m', { version: '3', percent: 20 }, {})))).toBe('1=60 2=20 3=20')
})
