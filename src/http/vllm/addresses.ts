import type { Address } from '../address.ts'

export const vllmAddresses: readonly Address[] = []
