import { createHash } from 'node:crypto'
import type { Sha256Factory } from '../core/runtime.ts'

/** SHA-256 piece by piece, by OpenSSL. */
export const nodeSha256: Sha256Factory = () => {
  const hash = createHash('sha256')
  return {
    async update(bytes) {
      hash.update(bytes)
    },
    hex: async () => hash.digest('hex'),
  }
}
