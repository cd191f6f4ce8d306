import { describe, expect, it } from 'vitest'
import {
  type Action,
  authorize,
  type Caller,
  callerInLog,
  callerName,
  mayLookUp,
  type Resource,
} from '../../src/access/authorize.ts'
import { GRANTED_ACTIONS, GRANTED_PLACES, type Grant } from '../../src/access/grant.ts'

const ACTIONS: readonly Action[] = ['infer', 'unreleased', 'browser', 'download', 'explain', 'metrics', 'mint', 'admin']
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

/** All subsets of a short list. */
function subsets<T>(of: readonly T[]): T[][] {
  return Array.from({ length: 2 ** of.length }, (_, bits) => of.filter((_each, i) => (bits >> i) & 1))
}

/** Every kind of grant that decides differently: what it names, what it allows, whether browsers may. */
const GRANTS: readonly Grant[] = [['m'], ['m*'], ['*'], ['other'], []].flatMap((models) =>
  subsets(GRANTED_ACTIONS).flatMap((actions) =>
    [GRANTED_PLACES, ['edge'] as const].map((places) => ({ models, actions, places })),
  ),
)
const RESOURCES: readonly (Resource | null)[] = [
  null,
  ...(['public', 'private'] as const).flatMap((visibility) =>
    [undefined, false, true].map((downloadable) => ({ name: 'm', visibility, downloadable })),
  ),
]

/**
 * The decision table, row by row as docs/api.md words it and not as the code is written: what one grant gives, for keys
 * and people with what anyone has.
 */
function expectedOf(grant: Grant, model: Resource | null, action: Action, likeAnyone: boolean): boolean {
  const names = model !== null && ['m', 'm*', '*'].includes(grant.models[0] ?? '')
  const says = (grant.actions as readonly string[]).includes(action)
  const table: Record<Action, boolean> = {
    infer: (names && says) || (likeAnyone && model?.visibility === 'public'),
    unreleased: names && says,
    explain: names && says,
    browser:
      says &&
      grant.places.length === 3 &&
      model?.downloadable === true &&
      (names || (likeAnyone && model.visibility === 'public')),
    metrics: (model === null || names) && says,
    mint: model === null && says,
    download: false,
    admin: false,
  }
  return table[action]
}

function grantedCaller(by: 'key' | 'sign-in' | 'token', grant: Grant, parent?: Grant): Caller {
  const principal = `${by}:1`
  return {
    kind: 'granted',
    by,
    principal,
    name: 'x',
    grant,
    ...(parent && { parent: { principal: 'key:p', grant: parent } }),
  }
}

describe('authorize, of callers with a grant', () => {
  it.each(['key', 'sign-in'] as const)('decides by the table for every grant of a %s', (by) => {
    let allowed = 0
    for (const grant of GRANTS) {
      for (const model of RESOURCES) {
        for (const action of ACTIONS) {
          const expected = expectedOf(grant, model, action, true)
          if (expected) allowed++
          const may = authorize(grantedCaller(by, grant), model, action)
          if (may !== expected) expect([grant, model, action, may]).toEqual([grant, model, action, expected])
        }
      }
    }
    // the table is neither empty nor everything
    expect(allowed).toBeGreaterThan(1_000)
    expect(allowed).toBeLessThan((GRANTS.length * RESOURCES.length * ACTIONS.length) / 2)
  })

  it('binds a token to what it names, within what its key still may', () => {
    const parents = [undefined, ...GRANTS.filter(({ places }) => places.length === 3).slice(0, 200)]
    for (const grant of GRANTS) {
      for (const parent of parents) {
        for (const model of RESOURCES) {
          for (const action of ACTIONS) {
            const expected =
              action !== 'mint' &&
              expectedOf(grant, model, action, false) &&
              (parent === undefined || expectedOf(parent, model, action, true))
            const may = authorize(grantedCaller('token', grant, parent), model, action)
            if (may !== expected)
              expect([grant, parent, model, action, may]).toEqual([grant, parent, model, action, expected])
          }
        }
      }
    }
  })

  it('never lets anyone with a grant administer, or read weights as an origin does', () => {
    const everything: Grant = { models: ['*'], actions: GRANTED_ACTIONS, places: GRANTED_PLACES }
    for (const by of ['key', 'sign-in', 'token'] as const) {
      for (const model of RESOURCES) {
        expect(authorize(grantedCaller(by, everything, everything), model, 'admin')).toBe(false)
        expect(authorize(grantedCaller(by, everything, everything), model, 'download')).toBe(false)
      }
    }
  })
})

describe('mayLookUp', () => {
  const grant: Grant = { models: ['m'], actions: ['metrics'], places: ['edge'] }

  it('shows a key what it names and what is public, whatever it may do there', () => {
    for (const by of ['key', 'sign-in'] as const) {
      const caller = grantedCaller(by, grant)
      expect([open, closed, { ...open, name: 'n' }, { ...closed, name: 'n' }].map((m) => mayLookUp(caller, m))).toEqual(
        [true, true, true, false],
      )
    }
  })

  it('shows a token what it names, unless its key may not see it any more', () => {
    const token = grantedCaller('token', grant)
    expect([open, closed, { ...open, name: 'n' }].map((m) => mayLookUp(token, m))).toEqual([true, true, false])
    const orphan = grantedCaller('token', grant, { ...grant, models: ['n'] })
    expect([open, closed].map((m) => mayLookUp(orphan, m))).toEqual([true, false])
  })

  it('is for everybody else whether they may run the model', () => {
    for (const caller of [
      { kind: 'anonymous' },
      { kind: 'operator' },
      { kind: 'service', name: 's' },
      { kind: 'origin', name: 'o' },
      { kind: 'relayed', name: '' },
    ] satisfies Caller[]) {
      for (const model of [open, closed]) expect(mayLookUp(caller, model)).toBe(authorize(caller, model, 'infer'))
    }
  })
})

describe('callerName', () => {
  it('is the principal of a caller with a grant', () => {
    expect(callerName(grantedCaller('key', { models: [], actions: [], places: [] }))).toBe('key:1')
  })
})

describe('callerInLog', () => {
  it('is the key of a key and of its tokens, and never what a relayed caller is called', () => {
    const grant = { models: [], actions: [], places: [] }
    expect(callerInLog(grantedCaller('key', grant))).toBe('key:1')
    expect(callerInLog(grantedCaller('token', grant, grant))).toBe('key:p')
    expect(callerInLog({ kind: 'service', name: 'shop' })).toBe('service:shop')
    expect(callerInLog({ kind: 'relayed', name: 'key:1' })).toBe('relayed')
    expect(callerInLog({ kind: 'anonymous' })).toBe('anonymous')
  })
})
