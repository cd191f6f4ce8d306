import type { Address } from '../address.ts'

export const workersAiAddresses: readonly Address[] = []
