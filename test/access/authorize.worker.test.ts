import { describe, expect, it } from 'vitest'
import { type Action, authorize, type Caller, type Resource } from '../../src/access/authorize.ts'

const ACTIONS: readonly Action[] = ['infer', 'unreleased', 'browser', 'download', 'explain', 'metrics', 'admin']
const open = { name: 'm', visibility: 'public' } as const
const closed = { name: 'm', visibility: 'private' } as const
const MODELS = [open, closed, null]

function granted(caller: Caller, model: Resource | null): readonly Action[] {
  return ACTIONS.filter((action) => authorize(caller, model, action))
}

describe('authorize', () => {
  it('lets anyone run a public model and nothing else', () => {
    expect(granted({ kind: 'anonymous' }, open)).toEqual(['infer'])
    expect(granted({ kind: 'anonymous' }, closed)).toEqual([])
    expect(granted({ kind: 'anonymous' }, null)).toEqual([])
  })

  it('gives a credential that is not known no right, and takes none away', () => {
    for (const unaccepted of ['key', 'name'] as const) {
      for (const model of [...MODELS, { ...open, downloadable: true }])
        expect(granted({ kind: 'anonymous', unaccepted }, model)).toEqual(granted({ kind: 'anonymous' }, model))
    }
  })

  it('lets a trusted Worker run what is live, and an origin what its Worker chose', () => {
    expect(granted({ kind: 'service', name: 'shop' }, closed)).toEqual(['infer'])
    expect(granted({ kind: 'relayed', name: 'service:shop' }, closed)).toEqual(['infer', 'unreleased'])
    expect(granted({ kind: 'relayed', name: '' }, null)).toEqual([])
  })

  it('lets an origin read weights, and run nothing', () => {
    for (const model of [...MODELS, { ...open, downloadable: true }])
      expect(granted({ kind: 'origin', name: 'gpu' }, model)).toEqual(['download'])
  })

  it('lets the operator do everything but give a browser what no browser may have', () => {
    const allBut = ACTIONS.filter((action) => action !== 'browser')
    for (const model of MODELS) expect(granted({ kind: 'operator' }, model)).toEqual(allBut)
    expect(granted({ kind: 'operator' }, { ...closed, downloadable: true })).toEqual(ACTIONS)
  })

  it.each<[Caller, open: boolean, closed: boolean]>([
    [{ kind: 'anonymous' }, true, false],
    [{ kind: 'anonymous', unaccepted: 'key' }, true, false],
    [{ kind: 'anonymous', unaccepted: 'name' }, true, false],
    [{ kind: 'operator' }, true, true],
    [{ kind: 'service', name: 'shop' }, true, true],
    [{ kind: 'origin', name: 'gpu' }, false, false],
    [{ kind: 'relayed', name: 'service:shop' }, false, false],
  ])('gives a downloadable version to browsers of callers who may run it: %o', (caller, whereOpen, whereClosed) => {
    const may = (model: Resource | null) => authorize(caller, model, 'browser')
    expect([may({ ...open, downloadable: true }), may({ ...closed, downloadable: true })]).toEqual([
      whereOpen,
      whereClosed,
    ])
    for (const model of [open, closed]) {
      expect(may(model)).toBe(false)
      expect(may({ ...model, downloadable: false })).toBe(false)
    }
    expect(may(null)).toBe(false)
  })
})
