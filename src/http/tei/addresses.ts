import type { Address } from '../address.ts'

export const teiAddresses: readonly Address[] = []
