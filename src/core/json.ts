import { VergeError } from './errors.ts'
import type { Limits } from './limits.ts'

type JsonLimits = Pick<Limits, 'jsonContainers' | 'jsonMembers'>

/** Parses a JSON body whose size is bounded. @throws invalid_json, empty_input, input_too_large */
export function parseJson(bytes: Uint8Array, limits: JsonLimits): unknown {
  if (bytes.length === 0) throw new VergeError('empty_input', 'The request has no body. Send a JSON object.')
  refuseManyParts(bytes, limits)
  const text = decodeUtf8(bytes)
  if (text === undefined) throw new VergeError('invalid_json', 'The request body is not JSON in UTF-8.')
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new VergeError('invalid_json', 'The request body is not valid JSON.', { cause })
  }
}

const OPENING_BRACKET = 0x5b
const OPENING_BRACE = 0x7b
const COLON = 0x3a
const QUOTE = 0x22
const SPACE = 0x20

/**
 * Refuses what takes much more memory than its text, before it is parsed. Brackets inside of strings count too, and so do
 * colons behind a quote: telling them apart would take as long as parsing.
 */
function refuseManyParts(bytes: Uint8Array, { jsonContainers, jsonMembers }: JsonLimits): void {
  if (bytes.length <= jsonMembers) return
  let containers = 0
  let members = 0
  let beforeColon = 0
  for (const byte of bytes) {
    if (byte === OPENING_BRACKET || byte === OPENING_BRACE) containers++
    else if (byte === COLON && beforeColon === QUOTE) members++
    // White space may stand between a name and its colon.
    if (byte > SPACE) beforeColon = byte
  }
  if (containers > jsonContainers) {
    throw new VergeError(
      'input_too_large',
      `The JSON has ${containers} lists and objects; the limit is ${jsonContainers}. Send tensors as flat lists, or in binary.`,
      { details: { limit_containers: jsonContainers } },
    )
  }
  if (members > jsonMembers) {
    throw new VergeError(
      'input_too_large',
      `The objects in the JSON have ${members} members; the limit is ${jsonMembers}. Send a table by columns, or in several requests.`,
      { details: { limit_members: jsonMembers } },
    )
  }
}

/** Text of UTF-8 bytes, without a byte order mark; undefined if they are not UTF-8. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes)
  } catch {
    return undefined
  }
}
