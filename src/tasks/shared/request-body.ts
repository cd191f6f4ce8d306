import * as z from 'zod'
import { charsetOf, mediaTypeOf } from '../../core/body.ts'
import { isVergeError, VergeError } from '../../core/errors.ts'
import { parseJson } from '../../core/json.ts'
import { fieldSchemas } from '../../core/known-fields.ts'
import type { Limits } from '../../core/limits.ts'
import { isObject } from '../../core/objects.ts'
import type { BoundTask, TaskBody } from '../task.ts'

/** No word on what the body is: none at all, or what `curl -d` says of everything. */
const UNDECLARED: readonly string[] = ['', 'application/x-www-form-urlencoded']

/** @throws unsupported_media_type where the task does not take what a body was sent as */
export function assertAccepted(
  contentType: string,
  { mediaTypes, name }: Pick<BoundTask, 'mediaTypes' | 'name'>,
): void {
  const declared = mediaTypeOf(contentType)
  const takes = ['application/json', 'multipart/form-data', ...mediaTypes]
  if ([...UNDECLARED, ...takes].includes(declared)) return
  throw new VergeError(
    'unsupported_media_type',
    `The body was sent as "${declared.slice(0, 100)}". ${name} takes ${takes.join(', ')}. Set "Content-Type".`,
  )
}

const OPENING_BRACE = 0x7b

/** JSON if it begins as an object does; else the raw form that the task takes. */
function guessedType(bytes: Uint8Array, mediaTypes: readonly string[]): string {
  const first = bytes.find((byte) => byte > 0x20)
  if (first === OPENING_BRACE) return 'application/json'
  return mediaTypes.includes('text/plain') ? 'text/plain' : 'application/octet-stream'
}

/**
 * A body as a task gets it.
 * @param contentType as the header has it; empty where there is none
 * @throws invalid_json, invalid_request
 */
export async function taskBody(
  bytes: Uint8Array<ArrayBuffer>,
  contentType: string,
  task: Pick<BoundTask, 'mediaTypes'>,
  limits: Limits,
): Promise<TaskBody> {
  const declared = mediaTypeOf(contentType)
  const type = UNDECLARED.includes(declared) ? guessedType(bytes, task.mediaTypes) : declared
  if (type === 'application/json') return { kind: 'json', value: parseJson(bytes, limits) }
  if (type === 'multipart/form-data') return readMultipart(bytes, contentType, limits)
  const charset = charsetOf(contentType)
  return { kind: 'bytes', mediaType: type, bytes, ...(charset !== undefined && { charset }) }
}

/** Read elsewhere: says which version runs. */
const VERSION = 'version'

/**
 * A request's body with the parameters that its query gives: `?top_k=2` beside a raw picture means what
 * `{"parameters": {"top_k": 2}}` means in JSON. Numbers, `true`, `false` and objects in JSON are read as such, and what
 * comes several times is a list. Where a parameter takes only texts, they stay texts.
 * @param query by name, with all values of each
 * @param task whose parameters are known
 * @throws invalid_request where the task has no such parameter, or the body gives it too
 */
export function withQuery(
  body: TaskBody,
  query: Readonly<Record<string, readonly string[]>>,
  task: Pick<BoundTask, 'name' | 'request'>,
): TaskBody {
  const names = Object.keys(query).filter((name) => name !== VERSION)
  if (names.length === 0) return body
  const fields = fieldSchemas(task.request, ['parameters'])
  const known = [...fields.keys()]
  const unknown = names.find((name) => !known.includes(name))
  if (unknown !== undefined) throw unknownParameter(unknown, known, task.name)
  const inBody = parametersIn(body)
  const twice = names.find((name) => inBody !== undefined && Object.hasOwn(inBody, name))
  if (twice !== undefined) {
    throw new VergeError('invalid_request', `The parameter "${twice}" is in the query and in the body. Send it once.`, {
      details: { field: twice },
    })
  }
  const parameters = {
    ...inBody,
    ...Object.fromEntries(names.map((name) => [name, given(query[name] ?? [], fields.get(name) ?? [])])),
  }
  if (body.kind === 'bytes') return { ...body, parameters }
  return isObject(body.value) ? { kind: 'json', value: { ...body.value, parameters } } : body
}

function unknownParameter(name: string, known: readonly string[], task: string): VergeError {
  const shown = name.slice(0, 64)
  const all = [...known, VERSION].join(', ')
  return new VergeError('invalid_request', `${task} has no query parameter "${shown}". Use ${all}.`, {
    details: { field: shown },
  })
}

function parametersIn(body: TaskBody): Readonly<Record<string, unknown>> | undefined {
  const parameters = body.kind === 'bytes' ? body.parameters : isObject(body.value) ? body.value.parameters : undefined
  return isObject(parameters) ? parameters : undefined
}

/** What texts of a query mean: numbers and the like, but for a parameter that takes only texts. A label may be "7". */
function given(texts: readonly string[], schemas: readonly z.core.$ZodType[]): unknown {
  const oneOrAll = <T>(all: readonly T[]): T | readonly T[] => (all.length === 1 && all[0] !== undefined ? all[0] : all)
  const takes = (value: unknown): boolean => schemas.some((schema) => z.safeParse(schema, value).success)
  const [value, plain] = [oneOrAll(texts.map(queryValue)), oneOrAll(texts)]
  return takes(value) || !takes(plain) ? value : plain
}

function queryValue(text: string): unknown {
  if (text === 'true' || text === 'false') return text === 'true'
  if (text.startsWith('{') && text.length <= LONGEST_OBJECT) return objectIn(text) ?? text
  return /^-?\d{1,15}(?:\.\d{1,15})?(?:e-?\d{1,3})?$/i.test(text) ? Number(text) : text
}

/** Characters of an object in a query: far more than a size takes, and too few for anything deep. */
const LONGEST_OBJECT = 1000

/** An object in JSON, such as a size; undefined if it is none. */
function objectIn(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/**
 * A form as browsers send it: the bytes in `file` (or a text in `inputs`), and, as JSON, `parameters`.
 * @throws invalid_request, invalid_json
 */
export async function readMultipart(
  bytes: Uint8Array<ArrayBuffer>,
  contentType: string,
  limits: Limits,
): Promise<TaskBody> {
  const form = await parseForm(bytes, contentType)
  const file = form.get('file')
  const inputs = form.get('inputs')
  const seen = new Set<string>()
  for (const name of form.keys()) {
    if (name !== 'file' && name !== 'inputs' && name !== 'parameters') {
      throw new VergeError(
        'invalid_request',
        `The form has an unknown field "${name.slice(0, 100)}". Use "file" or "inputs", and "parameters".`,
      )
    }
    if (seen.has(name)) {
      throw new VergeError('invalid_request', `The form has several "${name}". Send one.`, { details: { field: name } })
    }
    seen.add(name)
  }
  const parameters = await formParameters(form.get('parameters'), limits)
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

/** Clients send JSON in a form as a text, or as a file to give it a type of its own. @throws invalid_json */
async function formParameters(given: File | string | null, limits: Limits): Promise<unknown> {
  if (given === null) return undefined
  const bytes = typeof given === 'string' ? new TextEncoder().encode(given) : new Uint8Array(await given.arrayBuffer())
  try {
    return parseJson(bytes, limits)
  } catch (cause) {
    if (!isVergeError(cause) || cause.code === 'input_too_large') throw cause
    throw new VergeError('invalid_json', 'The form\'s "parameters" are not valid JSON. Send an object.', {
      cause,
      details: { field: 'parameters' },
    })
  }
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
      `The form has more than ${MOST_PARTS} parts. Use "file" or "inputs", and "parameters".`,
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
