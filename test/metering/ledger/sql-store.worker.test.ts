import { evictDurableObject, runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { expect, it } from 'vitest'
import { SqlLedgerStore } from '../../../src/metering/ledger/sql-store.ts'
import { ledgerStoreContract } from '../../contract/ledger-store.ts'

const { LEDGER } = env as unknown as { readonly LEDGER: DurableObjectNamespace }

ledgerStoreContract('SQLite', (test) =>
  runInDurableObject(LEDGER.get(LEDGER.newUniqueId()), (_, state) => test(new SqlLedgerStore(state.storage))),
)

it('SQLite has what was written when the object comes back', async () => {
  const stub = LEDGER.get(LEDGER.newUniqueId())
  await runInDurableObject(stub, (_, { storage }) => new SqlLedgerStore(storage).set('state', { granted: 5 }))
  await evictDurableObject(stub)
  const found = await runInDurableObject(stub, (_, { storage }) => new SqlLedgerStore(storage).get('state'))
  expect(found).toEqual({ granted: 5 })
})
