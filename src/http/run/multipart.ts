import { VergeError } from '../../core/errors.ts'
import type { TaskBody } from '../../tasks/task.ts'
import { mediaType, parseJson } from '../body.ts'

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
    const type = mediaType(file.type) || 'application/octet-stream'
    return { kind: 'bytes', mediaType: type, bytes: content, ...withParameters }
  }
  if (typeof inputs === 'string' && file === null) return { kind: 'json', value: { inputs, ...withParameters } }
  throw new VergeError('invalid_request', 'The form needs either a "file" or a text in "inputs".')
}

async function parseForm(bytes: Uint8Array<ArrayBuffer>, contentType: string): Promise<FormData> {
  try {
    return await new Response(bytes, { headers: { 'content-type': contentType } }).formData()
  } catch (cause) {
    throw new VergeError('invalid_request', 'The multipart form cannot be read. Check its boundary.', { cause })
  }
}
