import { join, relative } from 'node:path'
import { isVergeError, throwIfAborted } from '../../core/errors.ts'
import { halves, type Tensor, type Tensors } from '../../core/tensors.ts'
import type { Built } from '../build/build.ts'
import { exampleRequest } from '../build/request.ts'
import { codeOf, gist, type Visitor } from '../doctor/visitor.ts'
import { writeWhole } from '../files/whole-file.ts'
import { digits, essenceOf, probeFor } from '../local/probe.ts'
import { noOrigin } from '../local/readiness.ts'
import { inferRequest, send } from '../oip-client.ts'
import type { PackedModel } from '../pack/packer.ts'
import { UsageError } from '../terminal/command-line.ts'
import { shellWord } from '../terminal/format.ts'

/** A request to one version of a model, as a Worker is asked it and as a person may repeat it. */
export interface Question {
  /** A line for a shell. */
  readonly curl: string
  /**
   * @returns the Worker's answer; null if it does not know the version
   * @throws NoOriginError; UsageError if the Worker refuses
   */
  ask(signal: AbortSignal): Promise<string | null>
}

export interface QuestionOptions {
  readonly visitor: Visitor
  readonly key: string | undefined
  /** Whether the version alone answers where none is named; else the line names it. */
  readonly alone: boolean
  /** Whether the operator alone may ask; then the line holds a key, by the variable's name. */
  readonly closed: boolean
}

type Asked = Omit<Built, 'report'>

const KEY_HEADER = `-H "authorization: Bearer $VERGE_API_KEY"`

/**
 * By the model's task, with a sample out of its folder; else by the protocol, with tensors that the model runs on. Where
 * no such tensors are known, the Worker is asked for the model's metadata.
 */
export async function questionFor(built: Asked, options: QuestionOptions): Promise<Question> {
  const { task } = built.packed.manifest
  if (task === undefined) return tensorQuestion(built, options)
  // the protocol that language models are asked by names no versions
  if (task === 'text-generation' && !options.alone) return metadataQuestion(built.packed, options)
  return taskQuestion(built, options)
}

async function taskQuestion({ packed, folder }: Asked, { visitor, alone, closed }: QuestionOptions): Promise<Question> {
  const { manifest } = packed
  const { origin } = visitor
  const probe = await probeFor(manifest, folder)
  if (probe === null) throw new Error(`no probe for task ${manifest.task}`)
  const path = `${probe.path}?version=${encodeURIComponent(manifest.version)}`
  const line = probe.curl(origin)
  // a shell would take the question mark for itself
  const named = alone ? line : line.replace(`${origin}${probe.path}`, () => `'${origin}${path}'`)
  return {
    curl: closed ? `${named} ${KEY_HEADER}` : named,
    async ask(signal) {
      const headers = { 'content-type': probe.contentType }
      const visit = { method: 'POST', headers, body: probe.body, asOperator: true, signal }
      const answer = await visitor.ask(path, visit).catch((error: unknown) => {
        throwIfAborted(signal)
        throw brokeOff(origin, error)
      })
      if (answer.status === 404) return null
      if (answer.status !== 200) throw noOrigin(codeOf(answer), manifest) ?? refused(origin, gist(answer))
      return answer.json === undefined ? answer.text : JSON.stringify(essenceOf(answer.json))
    },
  }
}

async function tensorQuestion(built: Asked, options: QuestionOptions): Promise<Question> {
  const { packed, sample } = built
  if (sample === undefined) return metadataQuestion(packed, options)
  const { visitor, key } = options
  const { origin } = visitor
  const { manifest } = packed
  const { model, version } = manifest
  const headers = key === undefined ? {} : { authorization: `Bearer ${key}` }
  const request = inferRequest(model, sample.inputs, { version, headers })
  return {
    curl: await inferLine(built, sample.inputs, options),
    async ask(signal) {
      try {
        const { outputs } = await send(origin, request, signal)
        return [...outputs].map(([name, value]) => `${name} ${shown(value)}`).join('; ')
      } catch (error) {
        throwIfAborted(signal)
        if (!isVergeError(error)) throw brokeOff(origin, error)
        if (error.code === 'model_not_found' || error.code === 'version_not_found') return null
        throw noOrigin(error.code, manifest) ?? refused(origin, error.message)
      }
    },
  }
}

function metadataQuestion({ manifest }: PackedModel, { visitor, alone, closed }: QuestionOptions): Question {
  const { origin } = visitor
  const path = `/v2/models/${manifest.model}`
  const named = `${path}/versions/${encodeURIComponent(manifest.version)}`
  return {
    curl: `curl ${origin}${alone ? path : named}${closed ? ` ${KEY_HEADER}` : ''}`,
    async ask(signal) {
      const answer = await visitor.ask(named, { asOperator: true, signal }).catch((error: unknown) => {
        throwIfAborted(signal)
        throw brokeOff(origin, error)
      })
      if (answer.status === 404) return null
      if (answer.status !== 200) throw refused(origin, gist(answer))
      return 'its metadata; no input is known that the model accepts, so it was not run'
    },
  }
}

function refused(origin: string, what: string): UsageError {
  return new UsageError(`The model is stored, but ${origin} does not answer for it: ${what}`)
}

function brokeOff(origin: string, cause: unknown): UsageError {
  return new UsageError(
    `The model is stored, but ${origin} closed the connection during the test request. Send the request again.`,
    { cause },
  )
}

/** Longer lines are not pasted. */
const MOST_LINE = 600

/**
 * A command line that runs the model on tensors. A body that is too long for a line is written into a file beside the
 * report: as JSON, or as binary tensors if JSON cannot represent it.
 */
async function inferLine(
  { packed, reports }: Asked,
  tensors: Tensors,
  { visitor: { origin }, alone, closed }: QuestionOptions,
): Promise<string> {
  const { model, version } = packed.manifest
  const path = `/v2/models/${model}${alone ? '' : `/versions/${encodeURIComponent(version)}`}/infer`
  const line = `curl ${origin}${path}${closed ? ` ${KEY_HEADER}` : ''}`
  const body = exampleRequest(tensors)
  // A quote would end the shell's.
  if (body !== undefined && body.length < MOST_LINE && !body.includes("'")) return `${line} -d '${body}'`
  if (body !== undefined) return `${line} --data-binary @${await written('request.json', body)}`
  const { body: bytes, headers } = inferRequest(model, tensors)
  const options = Object.entries(headers).map(([name, value]) => ` -H '${name}: ${value}'`)
  return `${line}${options.join('')} --data-binary @${await written('request.bin', bytes)} --output answer.bin`

  async function written(name: string, content: string | Uint8Array): Promise<string> {
    const file = join(reports, name)
    await writeWhole(file, content)
    return shellWord(relative(process.cwd(), file))
  }
}

const SHOWN = 4

/** `FP32 [1, 40]: 0.5, 0.25, ...` */
export function shown({ datatype, shape, data }: Tensor): string {
  const first = [...(data.slice(0, SHOWN) as Iterable<number | bigint | string>)].map((element) => {
    if (datatype === 'BYTES') return JSON.stringify(element)
    if (datatype === 'BOOL') return Boolean(element)
    const value = datatype === 'FP16' ? halves(Uint16Array.of(Number(element)))[0] : element
    return typeof value === 'number' && datatype.startsWith('FP') ? digits(value) : value
  })
  return `${datatype} [${shape.join(', ')}]: ${first.join(', ')}${data.length > SHOWN ? ', ...' : ''}`
}
