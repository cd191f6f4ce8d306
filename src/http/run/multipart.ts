import { VergeError } from '../../core/errors.ts'
import { charsetOf, mediaTypeOf } from '../../core/media-types.ts'
import type { TaskBody } from '../../tasks/task.ts'
import { parseJson } from '../body.ts'

/**
 * A form as browsers send it: the bytes in `file` (or a text in `inputs`), and, as JSON, `parameters`.
 * @throws invalid_request, invalid_json
 */
export async function readMultipart(bytes: Uint8Array<ArrayBuffer>, contentType: string): Promise<TaskBody> {
  const form = await parseForm(bytes, contentType)
  const file = form.get('file')
  const inputs = form.get('inputs')
  const given = form.get('parameters')
  const parameters = typeof given === 'string' ? parseJson(new TextEncoder().encode(given)) : undefined
  for (const name of form.keys()) {
    if (name !== 'file' && name !== 'inputs' && name !== 'parameters') {
      throw new VergeError(
        'invalid_request',
        `The form has an unknown field "${name.slice(0, 100)}". It may have "file" or "inputs", and "parameters".`,
      )
    }
  }
  const withParameters = parameters === undefined ? {} : { parameters }
  if (file !== null && typeof file !== 'string' && inputs === null) {
    const content = new Uint8Array(await file.arrayBuffer())
    const type = mediaTypeOf(file.type) || 'application/octet-stream'
    const charset = charsetOf(file.type)
    return {
      kind: 'bytes',
      mediaType: type,
      bytes: content,
      ...(charset !== undefined && { charset }),
      ...withParameters,
    }
  }
  if (typeof inputs === 'string' && file === null) return { kind: 'json', value: { inputs, ...withParameters } }
  throw new VergeError('invalid_request', 'The form needs either a "file" or a text in "inputs".')
}

/** As long as RFC 2046 lets a boundary be. */
const LONGEST_BOUNDARY = 70
/** More than the three fields of a form need: each part of a form is an object and a file of its own. */
const MOST_PARTS = 16

async function parseForm(bytes: Uint8Array<ArrayBuffer>, contentType: string): Promise<FormData> {
  const boundary = /;\s*boundary\s*=\s*(?:"([^"]{1,200})"|([^\s";]{1,200}))/i.exec(contentType)
  const line = new TextEncoder().encode(`--${boundary?.[1] ?? boundary?.[2] ?? ''}`)
  if (boundary === null || line.length > LONGEST_BOUNDARY + 2) {
    throw new VergeError(
      'invalid_request',
      `The form's Content-Type needs a boundary of 1 to ${LONGEST_BOUNDARY} characters.`,
    )
  }
  if (hasMoreLines(bytes, line, MOST_PARTS + 1)) {
    throw new VergeError(
      'invalid_request',
      `The form has more than ${MOST_PARTS} parts. It may have "file" or "inputs", and "parameters".`,
    )
  }
  try {
    return await new Response(bytes, { headers: { 'content-type': contentType } }).formData()
  } catch (cause) {
    throw new VergeError('invalid_request', 'The multipart form cannot be read. Check its boundary.', { cause })
  }
}

/** Whether more than `most` lines begin with `start`. */
function hasMoreLines(bytes: Uint8Array, start: Uint8Array, most: number): boolean {
  let found = 0
  for (let at = 0; at >= 0 && at < bytes.length; ) {
    if (start.every((byte, i) => bytes[at + i] === byte) && ++found > most) return true
    const end = bytes.indexOf(LINE_FEED, at)
    at = end < 0 ? -1 : end + 1
  }
  return false
}

const LINE_FEED = 0x0a
