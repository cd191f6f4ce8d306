import type { Context } from 'hono'
import type { Manifest } from '../../catalog/manifest.ts'
import { isVergeError, VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import { refuseManyItems } from '../../core/validation.ts'
import { type PreparedPrompt, TextGenerator } from '../../generate/text-generator.ts'
import { type AdmittedModel, ModelRunner } from '../../inference/model-runner.ts'
import type { Slot } from '../../inference/slot.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { withPlacementHeaders } from '../inference.ts'
import { askedName, type NamedByPath, type Translation, withModelInBody } from '../model-in-body.ts'
import { answerTexts } from './answer.ts'
import { type ChatPrompt, openAiCall, type TextCall, type TextPrompts } from './call.ts'
import { refusedByOrigin } from './origin-answer.ts'
import { OriginTexts } from './origin-texts.ts'
import { GeneratedTexts } from './source.ts'

/** What a request comes to that wants no text: the model is to be loaded, and this is answered. */
export interface LoadCall {
  readonly loads: object
}

/** A protocol that asks for texts. */
export interface TextProtocol {
  /**
   * A request's body as a call. Its schema bounds everything; what the model can hold is checked later.
   * @throws invalid_request, not_implemented
   */
  read(body: unknown, manifest: Manifest): TextCall | LoadCall
  /** Whether origins take the protocol's requests as they are; the others get OpenAI's. */
  readonly forwardedAsIs?: boolean
  /** Whether its servers read any body as JSON, whatever its media type says. */
  readonly anyMediaType?: boolean
}

/** Answers a request for texts whose body names the model, here or by an origin. */
export function answerTextRequest(
  deps: AppDeps,
  c: Context<AppEnv>,
  protocol: TextProtocol,
  named?: NamedByPath,
): Promise<Response> {
  let known: TextCall | LoadCall | undefined
  // Asked for an origin first, and then for what is done here.
  const read = (body: unknown, manifest: Manifest): TextCall | LoadCall => {
    if (known !== undefined) return known
    assertWrites(manifest)
    refuseManyItems(body, deps.limits.requestItems)
    known = protocol.read(body, manifest)
    return known
  }
  const work = async (admitted: AdmittedModel, body: unknown, slot: Slot): Promise<Response> => {
    const call = read(body, admitted.model.manifest)
    const runner = new ModelRunner(deps, admitted, c.get('context'))
    if ('loads' in call) {
      runner.prefetch(TextGenerator.files(admitted.model.manifest, 'text'))
      return c.json(call.loads)
    }
    return written(deps, c, { call, runner, slot, model: askedName(body) })
  }
  const translation = protocol.forwardedAsIs === true ? undefined : translationOf(deps, c, read)
  const { anyMediaType = false } = protocol
  return withModelInBody(deps, c, 'openai', work, {
    anyMediaType,
    ...(named && { named }),
    ...(translation && { translation }),
  })
}

interface WriteOptions {
  readonly call: TextCall
  readonly runner: ModelRunner
  readonly slot: Slot
  readonly model: string
}

async function written(
  deps: AppDeps,
  c: Context<AppEnv>,
  { call, model, runner, slot }: WriteOptions,
): Promise<Response> {
  const { prompt, request, stream, writer } = call
  runner.prefetch(TextGenerator.files(runner.model.manifest, prompt.kind))
  const generator = await TextGenerator.open(runner.model, request, deps.limits)
  const prompts =
    prompt.kind === 'chat'
      ? [await preparedChat(prompt, generator, deps.clock.now())]
      : await preparedTexts(prompt, generator, deps.limits)
  generator.checkCost(prompts)
  const source = new GeneratedTexts(generator, prompts)
  const answer = await answerTexts(deps, c, {
    source,
    writer,
    stream,
    model,
    fingerprint: () => runner.fingerprint,
    slot,
  })
  return withPlacementHeaders(answer, runner)
}

/** The prompt that messages make. What is wrong with it is said of the request's own field. */
async function preparedChat(
  { field, messages }: ChatPrompt,
  generator: TextGenerator,
  now: number,
): Promise<PreparedPrompt> {
  try {
    return await generator.chat(messages, now)
  } catch (error) {
    if (field === undefined || !isVergeError(error) || error.details?.field !== 'messages') throw error
    throw new VergeError(error.code, error.message, { cause: error, details: { ...error.details, field } })
  }
}

/** Prompts of one request, refused together before the first of them is read. */
async function preparedTexts(
  { field, prompts }: TextPrompts,
  generator: TextGenerator,
  limits: Pick<Limits, 'chatLength' | 'promptsPerRequest'>,
): Promise<PreparedPrompt[]> {
  if (prompts.length > limits.promptsPerRequest) {
    throw new VergeError(
      'input_too_large',
      `A request may have at most ${limits.promptsPerRequest} prompts. Send them in several requests.`,
      { details: { field: 'prompt', limit_prompts: limits.promptsPerRequest } },
    )
  }
  const length = prompts.reduce((sum, each) => sum + (typeof each === 'string' ? each.length : 0), 0)
  if (prompts.length > 1 && length > limits.chatLength) {
    throw new VergeError(
      'input_too_large',
      `The prompts of a request may have ${limits.chatLength} characters together. Send them in several requests.`,
      { details: { field: 'prompt', limit_characters: limits.chatLength } },
    )
  }
  const prepared: PreparedPrompt[] = []
  for (const [i, each] of prompts.entries()) {
    prepared.push(typeof each === 'string' ? await generator.text(each, field(i)) : generator.ids(each, field(i)))
  }
  return prepared
}

/** How a call goes to an origin in OpenAI's words, and the origin's texts come back in the protocol's. */
function translationOf(
  deps: AppDeps,
  c: Context<AppEnv>,
  read: (body: unknown, manifest: Manifest) => TextCall | LoadCall,
): Translation {
  return (body, { manifest }) => {
    const call = read(body, manifest)
    if ('loads' in call) return undefined
    const { body: said, path } = openAiCall(call)
    const texts = call.prompt.kind === 'chat' ? 1 : call.prompt.prompts.length
    return {
      path,
      body: { model: manifest.model, ...said },
      streamed: call.stream,
      answer: async (response) => {
        if (!response.ok) return refusedByOrigin(response)
        const { stream, writer } = call
        const source = new OriginTexts(response, texts, deps.limits)
        return answerTexts(deps, c, { source, writer, stream, model: askedName(body), fingerprint: () => undefined })
      },
    }
  }
}

/** @throws task_mismatch */
export function assertWrites({ model, task }: Pick<Manifest, 'model' | 'task'>): void {
  if (task === 'text-generation') return
  throw new VergeError(
    'task_mismatch',
    `Model "${model}" does not generate text. GET /openapi.json shows the task of each model.`,
    { details: { field: 'model' } },
  )
}
