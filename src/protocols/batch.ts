import { isObject } from '../core/objects.ts'

/** Fields in which protocols have lists of inputs. A chat's messages are one input together. */
const LISTS = [
  'input',
  'inputs',
  'texts',
  'text',
  'images',
  'documents',
  'contexts',
  'passages',
  'prompt',
  'sentences',
  'text_1',
  'text_2',
  'data',
  'data_1',
  'data_2',
] as const

/** How many inputs a request's JSON body has, whichever protocol it is in. */
export function inputsIn(body: unknown): number {
  if (!isObject(body)) return 1
  let most = 1
  for (const field of LISTS) {
    const value = body[field]
    // Of sentence similarity and its like, whose lists stand one level deeper.
    const inner = isObject(value) ? inputsIn(value) : listLength(value)
    if (inner > most) most = inner
  }
  return most
}

/** A list of numbers is one input, token ids or a row of a table, and so are the messages of a chat. */
function listLength(value: unknown): number {
  if (!Array.isArray(value)) return 1
  const [first] = value as unknown[]
  return typeof first === 'number' || (isObject(first) && 'role' in first) ? 1 : value.length
}
