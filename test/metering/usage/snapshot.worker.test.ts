import { describe, expect, it } from 'vitest'
import {
  readSnapshot,
  snapshotKey,
  snapshotNamed,
  snapshotsOf,
  type UsageSnapshot,
  writeSnapshot,
} from '../../../src/metering/usage/snapshot.ts'
import { counts } from '../../fixtures/usage.ts'

const SNAPSHOT: UsageSnapshot = {
  principal: 'key:0123456789ab',
  month: '2026-11',
  at: Date.UTC(2026, 10, 30, 12),
  lastUsedAt: Date.UTC(2026, 10, 30, 11),
  days: new Map([
    [
      '2026-11-30',
      new Map([
        ['minilm@1', counts({ requests: 3 })],
        ['', counts({ errors: 1 })],
      ]),
    ],
  ]),
}

const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value))

describe('a snapshot', () => {
  it('is read as it was written', () => {
    expect(readSnapshot(writeSnapshot(SNAPSHOT))).toEqual(SNAPSHOT)
  })

  it('of a newer Verge is read as far as it is understood', () => {
    const written = JSON.parse(new TextDecoder().decode(writeSnapshot(SNAPSHOT))) as Record<string, unknown>
    const newer = { ...written, schema: 2, more: 1, days: { ...(written.days as object), total: 1 } }
    expect(readSnapshot(json(newer))).toEqual(SNAPSHOT)
  })

  it.each([
    [new Uint8Array([0xff])],
    [json([])],
    [json({ schema: 1 })],
    [json({ schema: 1, principal: 'a', month: 'b', at: 'x' })],
  ])('that is none is not read', (bytes) => {
    expect(readSnapshot(bytes)).toBeUndefined()
  })

  it('has a key that says whose it is', () => {
    expect(snapshotKey('user:work:0011', '2026-11')).toBe('usage/user:work:0011/2026-11.json')
    expect(snapshotsOf('anonymous')).toBe('usage/anonymous/')
    expect(snapshotNamed('usage/user:work:0011/2026-11.json')).toEqual({
      principal: 'user:work:0011',
      month: '2026-11',
    })
    expect(snapshotNamed('usage/user:work:0011/2026.json')).toBeUndefined()
  })
})
