import { VergeError } from '../../core/errors.ts'
import { knownFields } from '../../core/known-fields.ts'
import { isObject } from '../../core/objects.ts'
import type { BoundTask, TaskBody } from '../../tasks/task.ts'

/** Read elsewhere: says which version runs. */
const VERSION = 'version'

/**
 * A request's body with the parameters that its query gives: `?top_k=2` beside a raw picture means what
 * `{"parameters": {"top_k": 2}}` means in JSON. Numbers, `true` and `false` are read as such, and what comes several times
 * is a list.
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
  const known = knownFields(task.request, ['parameters'])
  const unknown = names.find((name) => !known.includes(name))
  if (unknown !== undefined) throw unknownParameter(unknown, known, task.name)
  const inBody = parametersIn(body)
  const twice = names.find((name) => inBody !== undefined && Object.hasOwn(inBody, name))
  if (twice !== undefined) {
    throw new VergeError('invalid_request', `The parameter "${twice}" is in the query and in the body. Send it once.`, {
      details: { field: twice },
    })
  }
  const parameters = { ...inBody, ...Object.fromEntries(names.map((name) => [name, given(query[name] ?? [])])) }
  if (body.kind === 'bytes') return { ...body, parameters }
  return isObject(body.value) ? { kind: 'json', value: { ...body.value, parameters } } : body
}

function unknownParameter(name: string, known: readonly string[], task: string): VergeError {
  const shown = name.slice(0, 64)
  const all = [...known, VERSION].join(', ')
  return new VergeError(
    'invalid_request',
    `There is no parameter "${shown}" in the query of ${task}. It may have ${all}.`,
    { details: { field: shown } },
  )
}

function parametersIn(body: TaskBody): Readonly<Record<string, unknown>> | undefined {
  const parameters = body.kind === 'bytes' ? body.parameters : isObject(body.value) ? body.value.parameters : undefined
  return isObject(parameters) ? parameters : undefined
}

function given(texts: readonly string[]): unknown {
  const values = texts.map(scalarOf)
  return values.length === 1 ? values[0] : values
}

function scalarOf(text: string): string | number | boolean {
  if (text === 'true' || text === 'false') return text === 'true'
  return /^-?\d{1,15}(?:\.\d{1,15})?(?:e-?\d{1,3})?$/i.test(text) ? Number(text) : text
}
