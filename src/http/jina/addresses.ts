import type { Address } from '../address.ts'

export const jinaAddresses: readonly Address[] = []
