import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Manifest } from '../../catalog/manifest.ts'
import { CHAT_TEMPLATE_FILE } from '../../catalog/settings/generation.ts'
import type { Datatype, Signature } from '../../core/tensors.ts'
import { encodePng } from '../../media/image/png-encode.ts'
import { isOnnxError } from '../../onnx/errors.ts'
import { EXAMPLE_WAV } from '../../tasks/sounds/audio-body.ts'
import { tableExample, tableLayout } from '../../tasks/tables/layout.ts'
import { fieldOf } from '../doctor/visitor.ts'
import { type InputMaker, type InputSettings, inputCandidates } from '../verify/candidates.ts'
import { elementsOf } from '../verify/samples.ts'

/** A request that makes a model run, and the same as a line for a shell. */
export interface ModelProbe {
  readonly path: string
  readonly body: Uint8Array<ArrayBuffer> | string
  readonly contentType: string
  /** `curl` with everything but the address. */
  readonly curl: (url: string) => string
}

const TEXT = 'A wonderful film: funny, moving and beautifully played.'

/** What tasks of texts are asked, by their names. */
const QUESTIONS: Readonly<Partial<Record<string, unknown>>> = {
  'text-classification': { inputs: TEXT },
  'feature-extraction': { inputs: TEXT },
  'token-classification': { inputs: TEXT },
  'question-answering': { inputs: { question: 'What is it?', context: TEXT } },
  'zero-shot-classification': { inputs: TEXT, parameters: { candidate_labels: ['praise', 'blame'] } },
}

/** The prompt for language models. Any model answers something; models/abacus answers the sum. */
const SUM = 'What is 27 plus 58?'

/** Of an answer: enough to see that it writes, and soon over. */
const MOST_TOKENS = 24

/** Elements that a probe's input may have at the most; a model that wants more is proven by its metadata alone. */
const MOST_ELEMENTS = 200_000

/** Longer requests are not pasted. */
const MOST_CURL = 400

/**
 * What to ask a model to see that it works: by its task, with a sample from its folder where there is one; otherwise
 * the request of the Open Inference Protocol that its folder has (`samples/*.json`), or tensors of zeros. Null where
 * that would be unreasonably large.
 */
export async function probeFor(manifest: Manifest, folder: string): Promise<ModelProbe | null> {
  const path = `/run/${manifest.model}`
  if (manifest.task === 'image-classification') {
    const sample = await firstSample(folder)
    const body = sample ? new Uint8Array(await readFile(join(folder, 'samples', sample))) : await stroke()
    const contentType = sample?.endsWith('.jpg') ? 'image/jpeg' : 'image/png'
    const file = sample ? join(folder, 'samples', sample) : 'picture.png'
    return {
      path,
      body,
      contentType,
      curl: (url) => `curl ${url}${path} -H 'content-type: ${contentType}' --data-binary @${file}`,
    }
  }
  const asked = manifest.task === undefined ? undefined : QUESTIONS[manifest.task]
  if (asked !== undefined) {
    const body = JSON.stringify(asked)
    const contentType = 'application/json'
    return {
      path,
      body,
      contentType,
      curl: (url) => `curl ${url}${path} -H 'content-type: ${contentType}' -d '${body}'`,
    }
  }
  if (manifest.task === 'text-generation') return textProbe(manifest)
  if (manifest.task?.startsWith('tabular-')) {
    return jsonProbe(path, JSON.stringify(tableExample(manifest, tableLayout(manifest))))
  }
  if (manifest.task === 'bytes-classification') {
    return jsonProbe(path, JSON.stringify({ inputs: Buffer.from(TEXT).toString('base64') }))
  }
  if (manifest.task === 'audio-classification' || manifest.task === 'voice-activity-detection') {
    return jsonProbe(path, JSON.stringify({ inputs: EXAMPLE_WAV }))
  }
  const request = (await namesIn(join(folder, 'samples'))).find((name) => name.endsWith('.json'))
  if (request === undefined) return madeUpProbes(manifest)[0] ?? null
  const file = join(folder, 'samples', request)
  return tensorProbe(manifest, await readFile(file, 'utf8'), (url, path) => `curl ${url}${path} --data-binary @${file}`)
}

/** @param otherwise a line for a shell where the request is too long for one */
function tensorProbe({ model }: Manifest, body: string, otherwise: (url: string, path: string) => string): ModelProbe {
  const path = `/v2/models/${model}/infer`
  const plain = body.length < MOST_CURL && !body.includes("'")
  return {
    path,
    body,
    contentType: 'application/json',
    curl: (url) => (plain ? `curl ${url}${path} -d '${body}'` : otherwise(url, path)),
  }
}

/** A chat where the model takes one: by its template, or by that of the server which has its weights. */
function textProbe({ model, files, artifacts }: Manifest): ModelProbe {
  const common = { max_tokens: MOST_TOKENS, temperature: 0 }
  const chats = files?.[CHAT_TEMPLATE_FILE] !== undefined || artifacts.length === 0
  return chats
    ? jsonProbe(
        '/v1/chat/completions',
        JSON.stringify({ model, messages: [{ role: 'user', content: SUM }], ...common }),
      )
    : jsonProbe('/v1/completions', JSON.stringify({ model, prompt: SUM, ...common }))
}

/**
 * The part of an answer that the terminal shows: the text of a language model; otherwise the whole answer with rounded
 * fractions.
 */
export function essenceOf(answer: unknown): unknown {
  const written = fieldOf(answer, 'choices', '0')
  return fieldOf(written, 'message', 'content') ?? fieldOf(written, 'text') ?? shortened(answer)
}

function shortened(answer: unknown): unknown {
  if (typeof answer === 'number') return Number.isInteger(answer) ? answer : digits(answer)
  if (Array.isArray(answer)) return answer.map(shortened)
  if (typeof answer !== 'object' || answer === null) return answer
  return Object.fromEntries(Object.entries(answer).map(([key, value]) => [key, shortened(value)]))
}

/** Of a 32-bit float's seven, as many as tell a reader something. */
const DIGITS = 4

export function digits(value: number): number {
  return Number(value.toPrecision(DIGITS))
}

function jsonProbe(path: string, body: string): ModelProbe {
  const contentType = 'application/json'
  const quoted = body.replaceAll("'", "'\\''")
  return {
    path,
    body,
    contentType,
    curl: (url) => `curl ${url}${path} -H 'content-type: ${contentType}' -d '${quoted}'`,
  }
}

/** Requests that a model without a sample is asked one after the other, until it runs on one. */
const MOST_TRIES = 8

/**
 * Requests of the Open Inference Protocol with plausible shapes, the most plausible first: floats are 0, whole numbers what
 * their names ask for. Empty where each would be unreasonably large, or an input cannot be sent.
 */
export function madeUpProbes(manifest: Manifest): ModelProbe[] {
  const { inputs, outputs } = manifest
  if (inputs.some(({ datatype }) => datatype === null)) return []
  const probes: ModelProbe[] = []
  for (const { shapes, make } of makersOf({ inputs, outputs }, manifest)) {
    const [sample] = elementsOf(shapes) > MOST_ELEMENTS ? [] : make({ count: 1, seed: 1, scale: 0 })
    if (sample === undefined) continue
    const body = JSON.stringify({
      inputs: [...sample.inputs].map(([name, { datatype, shape, data }]) => ({
        name,
        datatype,
        shape,
        data: Array.from(data as ArrayLike<unknown>, (element) => plain(datatype, element)),
      })),
    })
    probes.push(tensorProbe(manifest, body, (url) => `curl ${url}/v2/models/${manifest.model}`))
    if (probes.length === MOST_TRIES) break
  }
  return probes
}

/** Empty where every way is too large for a request. */
function makersOf(signature: Signature, settings: InputSettings): InputMaker[] {
  try {
    return inputCandidates({ signature, bounds: new Map(), settings })
  } catch (error) {
    if (isOnnxError(error)) return []
    throw error
  }
}

function plain(datatype: Datatype, element: unknown): unknown {
  if (datatype === 'BYTES') return ''
  if (datatype === 'BOOL') return false
  return datatype.startsWith('FP') ? 0 : Number(element)
}

async function firstSample(folder: string): Promise<string | undefined> {
  return (await namesIn(join(folder, 'samples'))).find((name) => /\.(png|jpg)$/.test(name))
}

async function namesIn(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(() => [])).sort()
}

/** A dark upright stroke on white: a picture for models that come without samples. */
function stroke(): Promise<Uint8Array<ArrayBuffer>> {
  const side = 64
  const pixels = new Uint8Array(side * side).fill(255)
  for (let row = 12; row < 52; row++) pixels.fill(0, row * side + 29, row * side + 35)
  return encodePng({ width: side, height: side, channels: 1, data: pixels })
}
