import { execFileSync } from 'node:child_process'
import { generateKeyPairSync, verify } from 'node:crypto'
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parsePublicKeys, releaseKey } from '../../../src/catalog/signing/public-keys.ts'
import { createSigningKey, readSigner } from '../../../src/cli/signing/private-key.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verge-signing-'))
})
afterAll(() => rm(folder, { recursive: true }))

const bytes = new TextEncoder().encode('a release')
const spki = (raw: Uint8Array): Buffer => Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), raw])

async function isSignedBy(signer: Awaited<ReturnType<typeof readSigner>>): Promise<boolean> {
  if (signer === undefined) return false
  const key = { key: spki(signer.key.raw), format: 'der', type: 'spki' } as const
  return verify(null, bytes, key, await signer.sign(bytes))
}

describe('createSigningKey', () => {
  it('writes a file that its owner alone may read, and openssl knows', async () => {
    const path = join(folder, 'created.pem')
    const { key, publicKey } = await createSigningKey(path)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    const der = execFileSync('openssl', ['pkey', '-in', path, '-pubout', '-outform', 'DER'])
    expect(der).toEqual(spki(key.raw))
    const [raw] = parsePublicKeys(publicKey)
    expect(raw).toEqual(key.raw)
    const signer = await readSigner(path, {})
    expect(signer?.key).toEqual(key)
    expect(await isSignedBy(signer)).toBe(true)
  })

  it('never overwrites a file', async () => {
    const path = join(folder, 'taken.pem')
    await writeFile(path, 'mine')
    await expect(createSigningKey(path)).rejects.toThrow(/exists already/)
    expect(await readFile(path, 'utf8')).toBe('mine')
    await expect(createSigningKey(join(folder, 'none', 'x.pem'))).rejects.toThrow(/cannot be written \(ENOENT\)/)
  })
})

describe('readSigner', () => {
  it("reads openssl's file, and its text from the environment, in one line too", async () => {
    const path = join(folder, 'openssl.pem')
    execFileSync('openssl', ['genpkey', '-algorithm', 'ed25519', '-out', path])
    await chmod(path, 0o600)
    const text = await readFile(path, 'utf8')
    const publicKey = execFileSync('openssl', ['pkey', '-in', path, '-pubout']).toString()
    const [raw = new Uint8Array()] = parsePublicKeys(publicKey)
    const expected = await releaseKey(raw)
    for (const environment of [{ VERGE_SIGNING_KEY: text }, { VERGE_SIGNING_KEY: text.replaceAll('\n', '\\n') }]) {
      expect((await readSigner(undefined, environment))?.key).toEqual(expected)
    }
    expect((await readSigner(path, { VERGE_SIGNING_KEY: 'another' }))?.key).toEqual(expected)
  })

  it('has none where none is given', async () => {
    expect(await readSigner(undefined, {})).toBeUndefined()
    expect(await readSigner(undefined, { VERGE_SIGNING_KEY: '' })).toBeUndefined()
  })

  it('refuses a file that others may read', async () => {
    const path = join(folder, 'open.pem')
    await createSigningKey(path)
    await chmod(path, 0o640)
    await expect(readSigner(path, {})).rejects.toThrow(/others than you may read .*chmod 600/)
  })

  it('refuses what is not a private key of Ed25519, and does not show it', async () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
    const { publicKey } = generateKeyPairSync('ed25519')
    for (const text of [
      'secret-words',
      String(rsa.export({ type: 'pkcs8', format: 'pem' })),
      String(publicKey.export({ type: 'spki', format: 'pem' })),
    ]) {
      const refused = readSigner(undefined, { VERGE_SIGNING_KEY: text })
      await expect(refused).rejects.toThrow(/^VERGE_SIGNING_KEY must be a private key of Ed25519 in PEM/)
      await refused.catch((error: Error) => {
        expect(`${error.stack} ${error.cause}`).not.toContain(text.slice(30, 60) || text)
      })
    }
    await expect(readSigner(join(folder, 'none.pem'), {})).rejects.toThrow(/cannot be read \(ENOENT\)/)
    await expect(readSigner(folder, {})).rejects.toThrow(/not a key's file/)
  })
})
