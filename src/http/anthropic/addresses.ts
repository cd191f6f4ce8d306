import type { Address } from '../address.ts'

export const anthropicAddresses: readonly Address[] = []
