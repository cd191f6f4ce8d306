import { createReadStream } from 'node:fs'
import { basename } from 'node:path'
import { createGunzip } from 'node:zlib'
import { LIMITS } from '../../core/limits.ts'
import { badSamples, type Content, type Items, type Labelled, type Refuse } from './items.ts'

/** The lines of a text file that are not empty, with their numbers; `.gz` is unpacked on the way. */
async function* linesOf(path: string, refuse: Refuse): AsyncIterable<{ readonly text: string; readonly line: number }> {
  const file = createReadStream(path)
  const unpacked = path.endsWith('.gz') ? file.pipe(createGunzip()) : file
  // `pipe` does not hand on what goes wrong with the file itself.
  file.on('error', (error) => unpacked.destroy(error))
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let rest = ''
  let line = 0
  const cut = function* (text: string): Iterable<{ readonly text: string; readonly line: number }> {
    const lines = text.split('\n')
    rest = lines.pop() ?? ''
    for (const content of lines) {
      line++
      if (content.trim() !== '') yield { text: content, line }
    }
    if (rest.length > LIMITS.requestBodyBytes) {
      throw refuse(`${basename(path)} line ${line + 1}`, `it is longer than ${LIMITS.requestBodyBytes} characters.`)
    }
  }
  try {
    for await (const chunk of unpacked) yield* cut(rest + decoder.decode(chunk as Uint8Array, { stream: true }))
    yield* cut(`${rest}${decoder.decode()}\n`)
  } catch (error) {
    if ((error as Error).name === 'UsageError') throw error
    throw refuse(basename(path), `it cannot be read after line ${line}: ${(error as Error).message}.`, error)
  } finally {
    file.destroy()
  }
}

/** A sample a line: `{"text" | "inputs": "...", "label"}`, or an Open Inference Protocol request with a `label`. */
export async function* jsonLines(path: string, refuse: Refuse = badSamples): Items {
  for await (const { text, line } of linesOf(path, refuse)) {
    const where = `${basename(path)} line ${line}`
    yield { where, read: async () => labelled(parsed(text, where, refuse), where, refuse) }
  }
}

/** A text a line, without labels. */
export async function* plainLines(path: string, refuse: Refuse = badSamples): Items {
  for await (const { text, line } of linesOf(path, refuse)) {
    yield {
      where: `${basename(path)} line ${line}`,
      read: async () => ({ content: { kind: 'inputs', inputs: text.trim() } }),
    }
  }
}

/** One request of the Open Inference Protocol, or an array of them. */
export async function* requests(path: string, read: (path: string) => Promise<Uint8Array>): Items {
  const name = basename(path)
  const value = parsed(new TextDecoder().decode(await read(path)), name, badSamples)
  for (const [index, one] of (Array.isArray(value) ? value : [value]).entries()) {
    const where = Array.isArray(value) ? `${name} element ${index}` : name
    yield { where, read: async () => labelled(one, where, badSamples) }
  }
}

function parsed(text: string, where: string, refuse: Refuse): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw refuse(where, `it is not JSON: ${(error as Error).message}.`, error)
  }
}

function labelled(value: unknown, where: string, refuse: Refuse): Labelled {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw refuse(where, 'it is not an object such as {"text": "...", "label": 1}.')
  }
  const { text, inputs = text, label } = value as Readonly<Record<string, unknown>>
  if (label !== undefined && typeof label !== 'number' && typeof label !== 'string') {
    throw refuse(where, '"label" is neither the index of a class nor its name.')
  }
  const content = contentOf(inputs)
  if (content === undefined) {
    throw refuse(where, 'it has neither "text" nor "inputs" with a text or a list of tensors.')
  }
  return { content, ...(label !== undefined && { label }) }
}

function contentOf(inputs: unknown): Content | undefined {
  if (typeof inputs === 'string') return { kind: 'inputs', inputs }
  if (Array.isArray(inputs)) return { kind: 'request', inputs }
  return undefined
}
