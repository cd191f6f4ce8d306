import { MemoryLedgerStore } from '../../../src/metering/ledger/store.ts'
import { ledgerStoreContract } from '../../contract/ledger-store.ts'

ledgerStoreContract('memory', async (test) => test(new MemoryLedgerStore()))
