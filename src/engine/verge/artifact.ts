import { invalid } from './invalid.ts'
import { PLAN_FORMAT, type Plan } from './plan.ts'

/**
 * An artifact of Verge's own engine, little-endian, as it is stored and as it lies in memory from a 64-byte boundary on:
 *
 *     0   8 bytes  "VERGEIMG"
 *     8   u32      version of the format, 1
 *     12  u32      bytes of the plan
 *     16  u32      where the image begins, a multiple of 64
 *     20  u32      bytes of the image
 *     24  8 bytes  zeros
 *     32           the plan, JSON in UTF-8; zeros up to the image
 */
const MAGIC = 'VERGEIMG'
const HEADER_BYTES = 32
const ALIGNMENT = 64
/** A plan of 4,000 steps has about one megabyte. */
const MOST_PLAN_BYTES = 4 * 1024 * 1024

export interface Header {
  readonly planBytes: number
  readonly imageOffset: number
  readonly imageBytes: number
}

/** @param bytes the whole artifact @throws model_invalid */
export function readHeader(bytes: Uint8Array): Header {
  if (bytes.length < HEADER_BYTES) throw invalid('it is shorter than its header')
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES)
  for (let index = 0; index < MAGIC.length; index++) {
    if (bytes[index] !== MAGIC.charCodeAt(index)) throw invalid('it does not begin as an artifact of this engine does')
  }
  const format = view.getUint32(8, true)
  if (format !== PLAN_FORMAT) throw invalid(`it has format ${format}, and this engine reads format ${PLAN_FORMAT}`)
  const planBytes = view.getUint32(12, true)
  const imageOffset = view.getUint32(16, true)
  const imageBytes = view.getUint32(20, true)
  if (planBytes > MOST_PLAN_BYTES)
    throw invalid(`its plan has ${planBytes} bytes, and at most ${MOST_PLAN_BYTES} are read`)
  if (
    imageOffset % ALIGNMENT !== 0 ||
    imageOffset < HEADER_BYTES + planBytes ||
    imageOffset + imageBytes !== bytes.length
  ) {
    throw invalid('the places of its parts do not fit its length')
  }
  return { planBytes, imageOffset, imageBytes }
}

/** The plan's JSON, unchecked. @throws model_invalid */
export function readPlanJson(bytes: Uint8Array, { planBytes }: Header): unknown {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
      bytes.slice(HEADER_BYTES, HEADER_BYTES + planBytes),
    )
    return JSON.parse(text)
  } catch {
    throw invalid('its plan is not JSON')
  }
}

/** An artifact with room for its image, whose bytes are 0. */
export function writeArtifact(plan: Plan, imageBytes: number): { bytes: Uint8Array<ArrayBuffer>; image: Uint8Array } {
  const json = new TextEncoder().encode(JSON.stringify(plan))
  const imageOffset = Math.ceil((HEADER_BYTES + json.length) / ALIGNMENT) * ALIGNMENT
  const bytes = new Uint8Array(imageOffset + imageBytes)
  bytes.set(new TextEncoder().encode(MAGIC))
  const header = new DataView(bytes.buffer)
  header.setUint32(8, PLAN_FORMAT, true)
  header.setUint32(12, json.length, true)
  header.setUint32(16, imageOffset, true)
  header.setUint32(20, imageBytes, true)
  bytes.set(json, HEADER_BYTES)
  return { bytes, image: bytes.subarray(imageOffset) }
}
