import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { open, readFile, stat } from 'node:fs/promises'
import { type ReleaseKey, releaseKey } from '../../catalog/signing/public-keys.ts'
import type { ReleaseSigner } from '../../catalog/signing/release-signing.ts'
import { fromBase64url } from '../../core/base64url.ts'
import { UsageError } from '../terminal/command-line.ts'

/** Holds the text of the key's file. */
export const SIGNING_KEY = 'VERGE_SIGNING_KEY'

/** A PEM file of Ed25519 has 119 bytes; one that holds more than keys is not one. */
const MOST_BYTES = 4_096
/** Bits of a file's mode that let others than its owner read it. */
const OF_OTHERS = 0o077

export interface CreatedKey {
  readonly key: ReleaseKey
  /** The public key's 32 bytes in base64url, as RELEASE_KEYS takes it. */
  readonly publicKey: string
}

/**
 * Makes a key pair, and writes the private key into a new file that its owner alone may read: PKCS#8 in PEM.
 * @throws UsageError if the file exists or cannot be written
 */
export async function createSigningKey(path: string): Promise<CreatedKey> {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const file = await open(path, 'wx', 0o600).catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(
      error.code === 'EEXIST'
        ? `${path} exists already. A key is never overwritten: choose another name.`
        : `${path} cannot be written (${error.code}).`,
      { cause: error },
    )
  })
  try {
    await file.writeFile(privateKey.export({ type: 'pkcs8', format: 'pem' }))
    await file.sync()
  } finally {
    await file.close()
  }
  return { key: await releaseKey(rawOf(publicKey)), publicKey: textOf(publicKey) }
}

/**
 * The signer that a command is given: by `--signing-key FILE`, else by the environment.
 * @returns undefined if neither is given
 * @throws UsageError, which never shows the key
 */
export async function readSigner(
  path: string | undefined,
  environment: NodeJS.ProcessEnv,
): Promise<ReleaseSigner | undefined> {
  if (path !== undefined) return signerOf(await readKeyFile(path), path)
  const text = environment[SIGNING_KEY] ?? ''
  return text === '' ? undefined : signerOf(text, SIGNING_KEY)
}

async function readKeyFile(path: string): Promise<string> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`--signing-key: ${path} cannot be read (${error.code}).`, { cause: error })
  })
  if (!found.isFile() || found.size > MOST_BYTES) throw new UsageError(`--signing-key: ${path} is not a key's file.`)
  if (process.platform !== 'win32' && (found.mode & OF_OTHERS) !== 0) {
    throw new UsageError(`--signing-key: others than you may read ${path}. Take that away: chmod 600 ${path}`)
  }
  return readFile(path, 'utf8')
}

/** @param where the name of the setting or file, for messages */
async function signerOf(text: string, where: string): Promise<ReleaseSigner> {
  const expected = `${where} must be a private key of Ed25519 in PEM (PKCS#8). To create one: npx verge keys sign --create FILE`
  let privateKey: KeyObject
  try {
    // a file's line ends, as one line of an environment carries them
    privateKey = createPrivateKey(text.replaceAll('\\n', '\n'))
  } catch {
    // the cause may quote the key
    throw new UsageError(expected)
  }
  if (privateKey.asymmetricKeyType !== 'ed25519') throw new UsageError(expected)
  const key = await releaseKey(rawOf(createPublicKey(privateKey)))
  return { key, sign: async (bytes) => sign(null, bytes, privateKey) }
}

function textOf(publicKey: KeyObject): string {
  return publicKey.export({ format: 'jwk' }).x ?? ''
}

function rawOf(publicKey: KeyObject): Uint8Array<ArrayBuffer> {
  const raw = fromBase64url(textOf(publicKey))
  if (raw === undefined) throw new Error('Node wrote a public key that is not base64url')
  return raw
}
