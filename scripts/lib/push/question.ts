import { isVergeError, throwIfAborted } from '../../../src/core/errors.ts'
import { halfToNumber } from '../../../src/core/half.ts'
import type { Tensor, Tensors } from '../../../src/core/tensors.ts'
import type { Built } from '../build/build.ts'
import { exampleRequest } from '../build/request.ts'
import { UsageError } from '../command-line.ts'
import { codeOf, gist, type Visitor } from '../doctor/visitor.ts'
import { inferRequest, send } from '../oip-client.ts'
import { digits, essenceOf, probeFor } from '../probe.ts'
import { noOrigin } from '../readiness.ts'

/** A request to one version of a model, as a Worker is asked it and as a person may repeat it. */
export interface Question {
  /** A line for a shell. */
  readonly curl: string
  /**
   * @returns what the Worker says; null where it does not know the version
   * @throws NoOriginError; UsageError where it refuses
   */
  ask(signal: AbortSignal): Promise<string | null>
}

export interface QuestionOptions {
  readonly visitor: Visitor
  readonly key: string | undefined
}

/**
 * By the model's task, with a sample out of its folder; else by the protocol, with tensors that the model runs on. Where
 * no such tensors are known, the Worker is asked for the model's metadata.
 */
export async function questionFor(
  built: Omit<Built, 'report' | 'reports'>,
  options: QuestionOptions,
): Promise<Question> {
  return built.packed.manifest.task === undefined ? tensorQuestion(built, options) : taskQuestion(built, options)
}

async function taskQuestion(
  { packed, folder }: Pick<Built, 'packed' | 'folder'>,
  { visitor }: QuestionOptions,
): Promise<Question> {
  const { manifest } = packed
  const { origin } = visitor
  const probe = await probeFor(manifest, folder)
  if (probe === null) throw new Error(`no probe for task ${manifest.task}`)
  const path = `${probe.path}?version=${encodeURIComponent(manifest.version)}`
  return {
    curl: probe.curl(origin),
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

function tensorQuestion({ packed, sample }: Pick<Built, 'packed' | 'sample'>, options: QuestionOptions): Question {
  if (sample === undefined) return metadataQuestion(packed, options)
  const { visitor, key } = options
  const { origin } = visitor
  const { manifest } = packed
  const { model, version } = manifest
  const headers = key === undefined ? {} : { authorization: `Bearer ${key}` }
  const request = inferRequest(model, sample.inputs, { version, headers })
  return {
    curl: curlOf(origin, model, sample.inputs),
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

function metadataQuestion({ manifest }: Pick<Built, 'packed'>['packed'], { visitor }: QuestionOptions): Question {
  const { origin } = visitor
  const path = `/v2/models/${manifest.model}`
  return {
    curl: `curl ${origin}${path}`,
    async ask(signal) {
      const answer = await visitor
        .ask(`${path}/versions/${encodeURIComponent(manifest.version)}`, { asOperator: true, signal })
        .catch((error: unknown) => {
          throwIfAborted(signal)
          throw brokeOff(origin, error)
        })
      if (answer.status === 404) return null
      if (answer.status !== 200) throw refused(origin, gist(answer))
      return 'its metadata; it was not run, because no input is known that it runs on'
    },
  }
}

function refused(origin: string, what: string): UsageError {
  return new UsageError(`The model is stored, but ${origin} does not answer for it: ${what}`)
}

function brokeOff(origin: string, cause: unknown): UsageError {
  return new UsageError(`The model is stored, but ${origin} broke off when it was asked. Ask it again.`, { cause })
}

/** Longer lines are not pasted. */
const MOST_CURL = 600

function curlOf(origin: string, model: string, tensors: Tensors): string {
  const body = exampleRequest(tensors)
  // A quote would end the shell's.
  const plain = body !== undefined && body.length < MOST_CURL && !body.includes("'")
  return plain ? `curl ${origin}/v2/models/${model}/infer -d '${body}'` : `curl ${origin}/v2/models/${model}`
}

const SHOWN = 4

/** `FP32 [1, 40]: 0.5, 0.25, ...` */
export function shown({ datatype, shape, data }: Tensor): string {
  const first = [...(data.slice(0, SHOWN) as Iterable<number | bigint | string>)].map((element) => {
    if (datatype === 'BYTES') return JSON.stringify(element)
    if (datatype === 'BOOL') return Boolean(element)
    const value = datatype === 'FP16' ? halfToNumber(Number(element)) : element
    return typeof value === 'number' && datatype.startsWith('FP') ? digits(value) : value
  })
  return `${datatype} [${shape.join(', ')}]: ${first.join(', ')}${data.length > SHOWN ? ', ...' : ''}`
}
