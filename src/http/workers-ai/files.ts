import { VergeError } from '../../core/errors.ts'
import { isObject } from '../../core/objects.ts'
import { byteList } from '../../protocols/workers-ai/byte-list.ts'
import type { TaskBody } from '../../tasks/task.ts'

/**
 * A file of a request, as a list of its bytes or in base64, as a task takes it.
 * @param name the field that it is in
 * @throws invalid_request, input_too_large
 */
export function fileOf(inputs: unknown, name: string, maxBytes: number): TaskBody {
  const file = isObject(inputs) ? inputs[name] : undefined
  const other = isObject(inputs) ? Object.keys(inputs).find((key) => key !== name) : undefined
  if (other !== undefined) {
    throw new VergeError('invalid_request', `The request: there is no field "${other.slice(0, 100)}"; use ${name}.`, {
      details: { field: other.slice(0, 100) },
    })
  }
  if (typeof file === 'string') return { kind: 'json', value: { inputs: file } }
  if (Array.isArray(file)) {
    return { kind: 'bytes', mediaType: 'application/octet-stream', bytes: byteList(file, name, maxBytes) }
  }
  throw new VergeError('invalid_request', `The request, field "${name}": a list of bytes or base64 is needed.`, {
    details: { field: name },
  })
}
