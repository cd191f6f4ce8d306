import { generateKeyPairSync } from 'node:crypto'
import { open, rm } from 'node:fs/promises'
import { UsageError } from '../terminal/command-line.ts'

export const SIGNING_OPTION = {
  signing: {
    type: 'string',
    value: 'FILE',
    help: 'write a signing key to FILE, with which a backend makes tokens for pages without asking Verge',
  },
} as const

/** What a person does with the file, which was just written. */
export function signingNote(path: string): string {
  return (
    `The signing key is in ${path}. Give its content to the backend as a secret, then delete the file. It can make tokens ` +
    'for pages, with no more rights than this key has.'
  )
}

/** A pair whose private half is about to be written. */
export interface SigningPair {
  /** As the key's record has it: base64url of the 32 bytes. */
  readonly publicKey: string
  /** Writes the private half, for this key's id. @throws UsageError if it cannot be written */
  write(id: string): Promise<void>
  /** Removes the file again, so that the command can be repeated: no key has the public half. */
  discard(): Promise<void>
}

/** Makes a pair for Ed25519. The file is created at once, so that nothing is changed if that fails. @throws UsageError */
export async function signingPair(path: string): Promise<SigningPair> {
  const file = await open(path, 'wx', 0o600).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EEXIST') throw new UsageError(`--signing: ${path} exists. Choose a name that is free.`)
    throw new UsageError(`--signing: ${path} cannot be written (${error.code ?? 'unknown error'}).`)
  })
  await file.close()
  const { crv, d, kty, x } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' })
  return {
    publicKey: x ?? '',
    async write(id) {
      try {
        const target = await open(path, 'w', 0o600)
        await target
          .writeFile(`${JSON.stringify({ kty, crv, kid: id, x, d }, null, 2)}\n`)
          .finally(() => target.close())
      } catch (error) {
        const { code = 'unknown error' } = error as NodeJS.ErrnoException
        throw new UsageError(
          `--signing: ${path} cannot be written (${code}). Choose another file: npx verge keys update ${id} --signing FILE`,
        )
      }
    },
    discard: () => rm(path, { force: true }),
  }
}

/** Makes a change that a pair belongs to. Without the change the pair is of no use. */
export async function orDiscarded<T>(pair: SigningPair | undefined, change: () => Promise<T>): Promise<T> {
  try {
    return await change()
  } catch (error) {
    await pair?.discard()
    throw error
  }
}
