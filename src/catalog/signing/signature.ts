import * as z from 'zod'
import { fromBase64url } from '../../core/base64url.ts'
import { concatBytes } from '../../core/bytes.ts'
import { canonicalBytes } from '../canonical-json.ts'
import { equal } from '../copies.ts'
import { KEY_ID, type ReleaseKey } from './public-keys.ts'

/**
 * An alias's signature. It is over everything else in the alias but `stopped`, and over its own fields but `value`, so that
 * neither its time nor its end can be changed.
 */
export const signatureSchema = z.object({
  /** Id of the public key that it is checked with. */
  key: z.string().regex(KEY_ID),
  /** When it was made, in seconds since 1970. */
  at: z.number().int().nonnegative(),
  /** When it ends, in seconds since 1970. Absent: never. */
  expires: z.number().int().positive().optional(),
  /** 64 bytes of Ed25519 in base64url. */
  value: z.string().length(86),
})

export type AliasSignature = z.infer<typeof signatureSchema>
/** What is signed of a signature. */
export type SignatureFacts = Omit<AliasSignature, 'value'>

/** Separates these signatures from all others that the same key may make. The number rises when the rules change. */
const DOMAIN = new TextEncoder().encode('verge release signature 1\n')

/** Why a signature does not count. */
export type SignatureFault = 'unsigned' | 'unknown_key' | 'wrong' | 'expired'

export type SignatureVerdict =
  | { readonly fault: undefined; readonly signature: AliasSignature }
  | { readonly fault: SignatureFault; readonly signature?: AliasSignature }

/** The bytes that a signature is over. @param alias as stored, with its signature's facts, and with or without its value */
export function signedBytes(alias: { readonly signature: SignatureFacts }): Uint8Array<ArrayBuffer> {
  const { value: _, ...facts } = alias.signature as Partial<AliasSignature>
  return concatBytes([DOMAIN, canonicalBytes({ ...released(alias), signature: facts })])
}

/**
 * The bytes that tell one release from another: all of a stored alias but `stopped`, with which a release stays the same
 * release. Bytes that are not canonical are no other release's.
 * @param value the JSON in `bytes`, every field of it
 */
export function releaseBytes(bytes: Uint8Array, value: unknown): Uint8Array {
  if (typeof value !== 'object' || value === null || !('stopped' in value)) return bytes
  return equal(bytes, canonicalBytes(value)) ? canonicalBytes(released(value)) : bytes
}

function released(alias: object): object {
  const { stopped: _, ...release } = alias as { readonly stopped?: unknown }
  return release
}

/**
 * Checks the signature of an alias as it is stored. Its bytes must be the canonical ones, byte by byte: no other reader
 * can then find something else in them.
 * @param value the JSON in `bytes`, every field of it
 */
export async function checkSignature(
  bytes: Uint8Array,
  value: unknown,
  keys: readonly ReleaseKey[],
): Promise<SignatureVerdict> {
  if (typeof value !== 'object' || value === null || !('signature' in value)) return { fault: 'unsigned' }
  const parsed = signatureSchema.safeParse(value.signature)
  if (!parsed.success) return { fault: 'wrong' }
  const signature = parsed.data
  const key = keys.find(({ id }) => id === signature.key)
  if (key === undefined) return { fault: 'unknown_key', signature }
  const raw = fromBase64url(signature.value)
  if (raw === undefined || !equal(bytes, canonicalBytes(value))) return { fault: 'wrong', signature }
  const imported = await crypto.subtle.importKey('raw', key.raw, { name: 'Ed25519' }, false, ['verify'])
  const alias = value as { readonly signature: SignatureFacts }
  const right = await crypto.subtle.verify({ name: 'Ed25519' }, imported, raw, signedBytes(alias))
  return right ? { fault: undefined, signature } : { fault: 'wrong', signature }
}

/** @param now milliseconds since 1970 */
export function isExpired({ expires }: Pick<AliasSignature, 'expires'>, now: number): boolean {
  return expires !== undefined && now >= expires * 1000
}

const FAULTS: Readonly<Record<SignatureFault, string>> = {
  unsigned: 'is not signed',
  unknown_key: 'is signed by a key that is not accepted',
  wrong: 'is not what was signed',
  expired: 'has a signature that has ended',
}

/** What is wrong with a signature, for a person; follows the name of what was signed. */
export function describeFault(fault: SignatureFault): string {
  return FAULTS[fault]
}
