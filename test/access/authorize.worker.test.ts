import { describe, expect, it } from 'vitest'
import { type Action, authorize, type Caller } from '../../src/access/authorize.ts'

const ACTIONS: readonly Action[] = ['infer', 'unreleased', 'download', 'explain', 'metrics', 'admin']
const open = { name: 'm', visibility: 'public' } as const
const closed = { name: 'm', visibility: 'private' } as const

function granted(caller: Caller, model: typeof open | typeof closed | null): readonly Action[] {
  return ACTIONS.filter((action) => authorize(caller, model, action))
}

describe('authorize', () => {
  it('lets anyone run a public model and nothing else', () => {
    expect(granted({ kind: 'anonymous' }, open)).toEqual(['infer'])
    expect(granted({ kind: 'anonymous' }, closed)).toEqual([])
    expect(granted({ kind: 'anonymous' }, null)).toEqual([])
  })

  it('gives a credential that is not known no right, and takes none away', () => {
    const caller = { kind: 'anonymous', unaccepted: 'key' } as const
    for (const model of [open, closed, null])
      expect(granted(caller, model)).toEqual(granted({ kind: 'anonymous' }, model))
  })

  it('lets a trusted Worker run what is live, and an origin what its Worker chose', () => {
    expect(granted({ kind: 'service', name: 'shop' }, closed)).toEqual(['infer'])
    expect(granted({ kind: 'relayed', name: 'service:shop' }, closed)).toEqual(['infer', 'unreleased'])
    expect(granted({ kind: 'relayed', name: '' }, null)).toEqual([])
  })

  it('lets the operator do everything', () => {
    for (const model of [open, closed, null]) expect(granted({ kind: 'operator' }, model)).toEqual(ACTIONS)
  })
})
