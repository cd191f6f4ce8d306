import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { acceptedKeys } from '../../../src/cli/signing/signing.ts'
import { targetSpec } from '../../../src/cli/target/arguments.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'verge-signing-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('the keys that a Worker accepts on this machine', () => {
  it('are those of the configuration that --config names', async () => {
    const { x } = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' })
    const config = join(folder, 'other.toml')
    writeFileSync(
      config,
      `name = "other"\nmain = "worker.ts"\ncompatibility_date = "2026-10-23"\n[vars]\nRELEASE_KEYS = "${x}"\n`,
    )
    expect(await acceptedKeys(targetSpec({ config }))).toHaveLength(1)
    expect(await acceptedKeys(targetSpec({}))).toEqual([])
  })
})
