import {
  type BareItem,
  type InnerList,
  isInnerList,
  parseDictionary,
  serializeDictionary,
  serializeInnerList,
  serializeItem,
} from 'structured-headers'

/**
 * HTTP Message Signatures (RFC 9421) and Content-Digest (RFC 9530), as far as Verge uses them: requests, plain header
 * fields, and the derived components `@method`, `@path` and `@query`.
 */

export const INPUT_FIELD = 'signature-input'
const SIGNATURE_FIELD = 'signature'
export const DIGEST_FIELD = 'content-digest'

/** Longer fields are not parsed. A request's own signature takes about 300 characters. */
const MOST_FIELD = 4_096

export type SignatureParameters = ReadonlyMap<string, BareItem>

/** A covered component: its identifier and its value in this message. */
export type SignatureComponent = readonly [name: string, value: string]

/** One signature of a message, as the two fields describe it. Nothing of it is proven. */
export interface MessageSignature {
  readonly components: readonly string[]
  readonly parameters: SignatureParameters
  readonly signature: ArrayBuffer
}

/** The text that is signed (RFC 9421, section 2.5). No value may contain a line feed; values of headers cannot. */
export function signatureBase(components: readonly SignatureComponent[], parameters: SignatureParameters): string {
  const lines = components.map(([name, value]) => `${serializeItem(name)}: ${value}`)
  const covered = innerList(
    components.map(([name]) => name),
    parameters,
  )
  return [...lines, `"@signature-params": ${serializeInnerList(covered)}`].join('\n')
}

/** Both fields of a message with one signature (RFC 9421, section 4). */
export function signatureFields(
  label: string,
  { components, parameters, signature }: MessageSignature,
): Record<string, string> {
  return {
    [INPUT_FIELD]: serializeDictionary(new Map([[label, innerList(components, parameters)]])),
    [SIGNATURE_FIELD]: serializeDictionary({ [label]: signature }),
  }
}

/**
 * The signatures of a message whose `tag` begins with `prefix`. Other signatures are ignored: proxies and clients may
 * sign for their own purposes.
 * @returns undefined if the fields cannot be read, or if such a signature has components with parameters
 */
export function taggedSignatures(headers: Pick<Headers, 'get'>, prefix: string): MessageSignature[] | undefined {
  const inputs = dictionaryOf(headers.get(INPUT_FIELD))
  const signatures = dictionaryOf(headers.get(SIGNATURE_FIELD))
  if (inputs === undefined || signatures === undefined) return undefined
  const found: MessageSignature[] = []
  for (const [label, input] of inputs) {
    const tag = input[1].get('tag')
    if (typeof tag !== 'string' || !tag.startsWith(prefix)) continue
    const signature = signatures.get(label)?.[0]
    if (!isInnerList(input) || !(signature instanceof ArrayBuffer)) return undefined
    const components: string[] = []
    for (const [name, parameters] of input[0]) {
      if (typeof name !== 'string' || parameters.size > 0 || components.includes(name)) return undefined
      components.push(name)
    }
    found.push({ components, parameters: input[1], signature })
  }
  return found
}

/**
 * A component of a request. @param path with its query, as it is on the wire
 * @returns undefined for a header that the request does not have, and for derived components other than the three
 */
export function componentValue(
  name: string,
  { method, path, headers }: { readonly method: string; readonly path: string; readonly headers: Pick<Headers, 'get'> },
): string | undefined {
  if (!name.startsWith('@')) return headers.get(name)?.trim()
  const query = path.indexOf('?')
  switch (name) {
    case '@method':
      return method
    case '@path':
      return query === -1 ? path : path.slice(0, query)
    case '@query':
      return query === -1 ? '?' : path.slice(query)
    default:
      return undefined
  }
}

/** The value of `Content-Digest`. @param sha256 of the content */
export function contentDigest(sha256: ArrayBuffer): string {
  return serializeDictionary({ 'sha-256': sha256 })
}

/** The SHA-256 that `Content-Digest` names; undefined if it names none. */
export function sha256OfContentDigest(field: string): Uint8Array | undefined {
  const digest = dictionaryOf(field)?.get('sha-256')?.[0]
  return digest instanceof ArrayBuffer && digest.byteLength === 32 ? new Uint8Array(digest) : undefined
}

function dictionaryOf(field: string | null): ReturnType<typeof parseDictionary> | undefined {
  if (field === null) return new Map()
  if (field.length > MOST_FIELD) return undefined
  try {
    return parseDictionary(field)
  } catch {
    return undefined
  }
}

function innerList(names: readonly string[], parameters: SignatureParameters): InnerList {
  return [names.map((name) => [name, new Map()]), new Map(parameters)]
}
