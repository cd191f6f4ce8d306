import { toBase64url } from '../../core/base64url.ts'
import { VergeError } from '../../core/errors.ts'
import type { Alias } from '../alias.ts'
import { aliasJson } from '../parse.ts'
import type { ReleaseKey } from './public-keys.ts'
import {
  type AliasSignature,
  checkSignature,
  describeFault,
  type SignatureFacts,
  type SignatureFault,
  signedBytes,
} from './signature.ts'

/** Who holds the private key. */
export interface ReleaseSigner {
  readonly key: ReleaseKey
  /** Ed25519 over these bytes. */
  sign(bytes: Uint8Array): Promise<Uint8Array>
}

export interface ReleaseSigningOptions {
  /** Without one, signed models are left as they are. */
  readonly signer?: ReleaseSigner | undefined
  /** Further keys whose signatures count: those of the deployment, while one replaces another. */
  readonly accepted?: readonly ReleaseKey[]
  /** Changes signed models without signing them again. */
  readonly unsigned?: boolean
}

/** What is asked of a signature apart from any change of its alias. */
export interface SignRequest {
  /** Seconds for which it counts; null for ever. As long as the one before it if left out. */
  readonly lasts?: number | null | undefined
  /** Signs what is stored though no accepted key has signed it: the person has looked at it. */
  readonly adopt: boolean
  /** The new generation is above this one. For a bucket that was restored from an older state. */
  readonly above?: number | undefined
}

/** An alias before its change, as it is stored: the present one, or the last one of a model that was removed. */
export interface StoredRelease {
  /** As it counts. */
  readonly value: Alias
  /** As it is stored, and as it was signed. */
  readonly bytes: Uint8Array
}

/** Signs the changes of aliases. Never puts a signature on top of what it cannot verify. */
export class ReleaseSigning {
  readonly #signer: ReleaseSigner | undefined
  readonly #accepted: readonly ReleaseKey[]
  readonly #unsigned: boolean

  constructor({ signer, accepted = [], unsigned = false }: ReleaseSigningOptions) {
    this.#signer = signer
    this.#accepted = signer === undefined ? accepted : [signer.key, ...accepted]
    this.#unsigned = unsigned
  }

  /**
   * The alias that is to be stored.
   * @param before null for a model that is new
   * @param at seconds since 1970
   * @throws signature_invalid if the change may not be made, for the reason that it names
   */
  async sealed(next: Alias, before: StoredRelease | null, at: number, request?: SignRequest): Promise<Alias> {
    const { model } = next
    const signature = before?.value.signature
    if (this.#unsigned || this.#signer === undefined) {
      if (request !== undefined) throw noKey(model)
      if (signature !== undefined && !this.#unsigned) throw keyNeeded(model, signature)
      return next
    }
    if (before !== null && !request?.adopt) await this.#assertGenuine(model, before)
    const facts = factsOf(this.#signer.key, at, request?.lasts ?? lastingOf(signature, request))
    const value = await this.#signer.sign(signedBytes({ ...next, signature: facts }))
    return { ...next, signature: { ...facts, value: toBase64url(value) } }
  }

  /** @throws signature_invalid if a model may not be removed: it is signed, and there is no key */
  assertRemovable(model: string, signature: AliasSignature | undefined): void {
    if (signature !== undefined && this.#signer === undefined && !this.#unsigned) throw keyNeeded(model, signature)
  }

  /** What is wrong with what is stored, however long ago it was signed. Nothing is found where no key is known. */
  async faultOf({ bytes, value }: StoredRelease): Promise<SignatureFault | undefined> {
    if (this.#accepted.length === 0) return undefined
    return (await checkSignature(bytes, aliasJson(bytes, value.model), this.#accepted)).fault
  }

  async #assertGenuine(model: string, release: StoredRelease): Promise<void> {
    const fault = await this.faultOf(release)
    if (fault === undefined) return
    throw new VergeError(
      'signature_invalid',
      `The stored release of model "${model}" ${describeFault(fault)}. Signing a change of it would sign that, too. Nothing was changed. ` +
        `Look at it (npx verge models ${model}); if it is as you published it, sign it: npx verge keys sign ${model} --adopt`,
      { details: { model, reason: fault } },
    )
  }
}

function factsOf(key: ReleaseKey, at: number, lasts: number | null): SignatureFacts {
  return { key: key.id, at, ...(lasts !== null && { expires: at + lasts }) }
}

/** A signature with an end is followed by one that counts for as long. */
function lastingOf(signature: AliasSignature | undefined, request: SignRequest | undefined): number | null {
  if (request?.lasts === null || signature?.expires === undefined) return null
  return Math.max(1, signature.expires - signature.at)
}

function keyNeeded(model: string, { key }: AliasSignature): VergeError {
  return new VergeError(
    'signature_invalid',
    `Model "${model}" is signed (key ${key}), and there is no key to sign the change with. Nothing was changed. Set VERGE_SIGNING_KEY, ` +
      'or name the file with --signing-key. To give up the signature, add --unsigned.',
    { details: { model } },
  )
}

function noKey(model: string): VergeError {
  return new VergeError(
    'signature_invalid',
    `There is no key to sign model "${model}" with. Set VERGE_SIGNING_KEY, or name the file with --signing-key. To create a key: ` +
      'npx verge keys sign --create FILE',
    { details: { model } },
  )
}
