import { randomBytes } from 'node:crypto'
import { KeyWriter } from '../../access/keys/writer.ts'
import { LIMITS } from '../../core/limits.ts'
import { systemClock } from '../../core/runtime.ts'
import { nodeSha256 } from '../pack/bytes.ts'
import type { Target } from '../target/target.ts'

/** The writer of a target's keys. Its changes are in the audit log. */
export function keyWriterOf({ writer, audit }: Pick<Target, 'writer' | 'audit'>): KeyWriter {
  const { truth, copies } = writer.stores
  return new KeyWriter(truth, copies, {
    sha256: nodeSha256,
    clock: systemClock,
    random: randomBytes,
    limits: LIMITS,
    audit,
  })
}

/** How long a change of a key takes to be seen everywhere, for a person. */
export function keyDelayOf({ kind }: Pick<Target, 'kind'>): string {
  const seconds = LIMITS.keyTtlMs / 1000
  return kind === 'local'
    ? `A Worker on this machine has seen it within ${seconds} s.`
    : `All Workers have seen it within ${seconds + KV_SECONDS} s: KV propagates changes within ${KV_SECONDS} s, and an isolate keeps what ` +
        `it has read for ${seconds} s. Where the key has a rate or a budget, it is seen with its next lease.`
}

/** As Cloudflare documents it. */
const KV_SECONDS = 60
