import { describe, expect, it } from 'vitest'
import type { LedgerStore } from '../../src/metering/ledger/store.ts'

/**
 * What every store of a ledger does.
 * @param run calls back with an empty store; a Durable Object's exists in its own context alone
 */
export function ledgerStoreContract(name: string, run: (test: (store: LedgerStore) => void) => Promise<void>): void {
  describe(`${name}, as a store of a ledger`, () => {
    it('has what was set last', () =>
      run((store) => {
        expect(store.get('state')).toBeUndefined()
        store.set('state', { granted: { 'day 2026-11-30': { tokens: 5 } } })
        store.set('state', { granted: {} })
        store.set('lease a', [1, 'ü', null])
        expect(store.get('state')).toEqual({ granted: {} })
        expect(store.get('lease a')).toEqual([1, 'ü', null])
      }))

    it('gives values away that nobody else changes', () =>
      run((store) => {
        const value = { list: [1] }
        store.set('state', value)
        value.list.push(2)
        ;(store.get('state') as typeof value).list.push(3)
        expect(store.get('state')).toEqual({ list: [1] })
      }))

    it('deletes, also what is not there', () =>
      run((store) => {
        store.set('lease a', 1)
        store.delete('lease a')
        store.delete('lease b')
        expect(store.get('lease a')).toBeUndefined()
      }))

    it('keeps all of a transaction or nothing', () =>
      run((store) => {
        store.set('a', 1)
        store.set('b', 1)
        expect(
          store.transaction(() => {
            store.set('a', 2)
            return store.get('a')
          }),
        ).toBe(2)
        const fault = new Error('fault')
        expect(() =>
          store.transaction(() => {
            store.set('a', 3)
            store.delete('b')
            store.set('c', 3)
            throw fault
          }),
        ).toThrow(fault)
        expect([store.get('a'), store.get('b'), store.get('c')]).toEqual([2, 1, undefined])
      }))
  })
}
