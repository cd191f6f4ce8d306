import { describe, expect, it } from 'vitest'
import { type Action, authorize, type Caller } from '../../src/access/authorize.ts'

const ACTIONS: readonly Action[] = ['infer', 'download', 'explain', 'metrics', 'admin']
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

  it('lets the operator do everything', () => {
    for (const model of [open, closed, null]) expect(granted({ kind: 'operator' }, model)).toEqual(ACTIONS)
  })
})
