import * as z from 'zod'
import type { Sha256Factory } from '../../core/runtime.ts'
import { sha256Hex } from '../../core/sha256.ts'
import {
  ARRAY_TYPES,
  DATATYPES,
  ELEMENT_BYTES,
  elementCount,
  type Tensor,
  type Tensors,
  tensor,
} from '../../core/tensors.ts'

/**
 * A kept result as bytes: 64 hexadecimal digits, the SHA-256 of all that follows; the length of the head as a u32; the
 * head in JSON; the tensors' bytes, each at a multiple of eight, so that they can be read where they lie.
 */

const DIGEST_BYTES = 64
const HEAD_AT = DIGEST_BYTES + 4
const ALIGNMENT = 8

const headSchema = z.object({
  /** The key of the entry: an entry with another key is ignored. */
  key: z.string(),
  outputs: z.array(
    z.object({
      name: z.string(),
      datatype: z.enum(DATATYPES),
      shape: z.array(z.number().int().nonnegative()),
      /** Elements of a BYTES tensor; others' lie behind the head. */
      strings: z.array(z.string()).optional(),
    }),
  ),
})
type Head = z.infer<typeof headSchema>

/**
 * Copies outputs into an entry, all but its digest, which `sealEntry` adds: that takes time, and need not be waited for.
 * @returns undefined if the entry would have more than `maxBytes`
 */
export function entryOf(key: string, outputs: Tensors, maxBytes: number): Uint8Array<ArrayBuffer> | undefined {
  let size = 0
  for (const { datatype, data } of outputs.values()) {
    // a UTF-16 unit may take six bytes as a JSON escape
    if (datatype === 'BYTES') for (const text of data) size += 6 * text.length + 3
    else size += data.byteLength + ALIGNMENT
    if (size > maxBytes) return undefined
  }
  const head: Head = {
    key,
    outputs: [...outputs].map(([name, { datatype, shape, data }]) => ({
      name,
      datatype,
      shape: [...shape],
      ...(datatype === 'BYTES' && { strings: [...data] }),
    })),
  }
  const json = new TextEncoder().encode(JSON.stringify(head))
  const parts: { readonly at: number; readonly bytes: Uint8Array }[] = []
  let end = HEAD_AT + json.length
  for (const { datatype, data } of outputs.values()) {
    if (datatype === 'BYTES') continue
    const at = aligned(end)
    parts.push({ at, bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) })
    end = at + data.byteLength
  }
  if (end > maxBytes) return undefined
  const entry = new Uint8Array(end)
  new DataView(entry.buffer).setUint32(DIGEST_BYTES, json.length, true)
  entry.set(json, HEAD_AT)
  for (const { at, bytes } of parts) entry.set(bytes, at)
  return entry
}

/** Writes the digest into an entry. */
export async function sealEntry(sha256: Sha256Factory, entry: Uint8Array): Promise<void> {
  const digest = await sha256Hex(sha256, entry.subarray(DIGEST_BYTES))
  new TextEncoder().encodeInto(digest, entry)
}

/** The outputs in an entry, as views of its bytes; undefined if anything about it is wrong. */
export async function readEntry(
  sha256: Sha256Factory,
  key: string,
  entry: Uint8Array<ArrayBuffer>,
): Promise<Tensors | undefined> {
  if (entry.length < HEAD_AT || entry.byteOffset % ALIGNMENT !== 0) return undefined
  const digest = new TextDecoder().decode(entry.subarray(0, DIGEST_BYTES))
  if (digest !== (await sha256Hex(sha256, entry.subarray(DIGEST_BYTES)))) return undefined
  const length = new DataView(entry.buffer, entry.byteOffset).getUint32(DIGEST_BYTES, true)
  // what has its digest was written here, and may be trusted to be JSON
  const head = headSchema.parse(JSON.parse(new TextDecoder().decode(entry.subarray(HEAD_AT, HEAD_AT + length))))
  if (head.key !== key) return undefined
  const outputs = new Map<string, Tensor>()
  let end = HEAD_AT + length
  for (const { name, datatype, shape, strings } of head.outputs) {
    if (datatype === 'BYTES') {
      outputs.set(name, tensor('BYTES', shape, strings ?? []))
      continue
    }
    const at = aligned(end)
    const count = elementCount(shape)
    end = at + count * ELEMENT_BYTES[datatype]
    outputs.set(
      name,
      tensor(datatype, shape, new ARRAY_TYPES[datatype](entry.buffer, entry.byteOffset + at, count) as never),
    )
  }
  return outputs
}

function aligned(offset: number): number {
  return Math.ceil(offset / ALIGNMENT) * ALIGNMENT
}
