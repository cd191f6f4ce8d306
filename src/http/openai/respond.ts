import type { Context } from 'hono'
import { abortError, VergeError } from '../../core/errors.ts'
import { onAbort } from '../../core/runtime.ts'
import type { Finish, GenerationEvent } from '../../generate/generation-events.ts'
import type { PreparedPrompt, TextGenerator } from '../../generate/text-generator.ts'
import { shownTo } from '../../inference/access.ts'
import type { ModelRunner, Slot } from '../../inference/infer.ts'
import type { GenerationUsage } from '../../protocols/openai/generation.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { openAiErrorBody } from '../error-body.ts'
import { withPlacementHeaders } from '../inference.ts'
import { reportedError } from '../middleware/errors.ts'
import { eventStream } from './sse.ts'

/** What is said in every answer and in every part of one. */
export interface ResponseFields {
  readonly id: string
  readonly created: number
  readonly model: string
  readonly system_fingerprint?: string
}

export interface TextChoice {
  readonly index: number
  readonly text: string
  readonly finish: Finish
}

/** How a protocol puts texts into JSON. */
export interface ResponseFormat {
  readonly idPrefix: string
  whole(fields: ResponseFields, choices: readonly TextChoice[], usage: GenerationUsage): object
  /** Parts that open a text, before its first token. */
  firstChunks(fields: ResponseFields, index: number): readonly object[]
  /** A part of a text, or its end. */
  chunk(fields: ResponseFields, index: number, text: string, finish: Finish | null): object
  /** What ends a stream that was asked for it: parts that belong to no text. */
  usage(fields: ResponseFields, usage: GenerationUsage): object
}

export interface ResponseOptions {
  readonly runner: ModelRunner
  readonly generator: TextGenerator
  readonly prompts: readonly PreparedPrompt[]
  readonly format: ResponseFormat
  readonly stream: boolean
  /** Whether a stream ends with how many tokens there were. */
  readonly streamUsage: boolean
}

/** Writes answers to prompts, one after the other, whole or as a stream. */
export async function respond(
  deps: AppDeps,
  c: Context<AppEnv>,
  slot: Slot,
  options: ResponseOptions,
): Promise<Response> {
  const { format, prompts, runner, stream, generator } = options
  generator.checkCost(prompts)
  const fields = (): ResponseFields => {
    const fingerprint = runner.fingerprint
    return { ...opened, ...(fingerprint !== undefined && { system_fingerprint: fingerprint }) }
  }
  const opened = {
    id: `${format.idPrefix}${deps.randomId()}`,
    created: Math.floor(deps.clock.now() / 1000),
    model: runner.model.manifest.model,
  }
  if (stream) return withPlacementHeaders(await streamed(deps, c, slot, options, fields), runner)
  const choices = prompts.map((_, index) => ({ index, text: '', finish: 'stop' as Finish }))
  const count = new UsageCount(prompts)
  for await (const { index, event } of inOrder(generator, prompts, c.get('context').signal)) {
    const choice = choices[index]
    if (choice === undefined) continue
    if (event.kind === 'text') choice.text += event.text
    else {
      choice.finish = event.finish
      count.add(event.tokens)
    }
  }
  return withPlacementHeaders(c.json(format.whole(fields(), choices, count.usage)), runner)
}

interface IndexedEvent {
  readonly index: number
  readonly event: GenerationEvent
}

async function* inOrder(
  generator: TextGenerator,
  prompts: readonly PreparedPrompt[],
  signal: AbortSignal,
): AsyncGenerator<IndexedEvent, void> {
  for (const [index, prompt] of prompts.entries()) {
    for await (const event of await generator.generate(prompt, index, signal)) yield { index, event }
  }
}

/** The answer begins with its first token: until then a failure is answered with a status of its own. */
async function streamed(
  deps: AppDeps,
  c: Context<AppEnv>,
  slot: Slot,
  { format, prompts, streamUsage, generator }: ResponseOptions,
  fields: () => ResponseFields,
): Promise<Response> {
  const reader = new StreamReader(deps, c)
  const items = inOrder(generator, prompts, reader.signal)
  const count = new UsageCount(prompts)
  let last = -1
  try {
    const first = await items.next()
    slot.keep()
    const part = (body: object): object => (streamUsage ? { ...body, usage: null } : body)
    const body = eventStream<IndexedEvent>({
      items: preceded(first, items),
      eventsOf: ({ index, event }) => {
        slot.renew()
        const opening = index > last ? format.firstChunks(fields(), index) : []
        last = index
        if (event.kind === 'text') return [...opening, format.chunk(fields(), index, event.text, null)].map(part)
        count.add(event.tokens)
        const ending = [...opening, format.chunk(fields(), index, '', event.finish)].map(part)
        const whole = streamUsage && index === prompts.length - 1
        return whole ? [...ending, format.usage(fields(), count.usage)] : ending
      },
      failed: (error) =>
        reader.left
          ? undefined
          : openAiErrorBody(shownTo(c.get('caller'), reportedError(deps.logger, c, error)), c.get('requestId')),
      ended: () => {
        reader.close()
        slot.leave()
      },
      cancel: (reason) => reader.leave(reason),
    })
    return c.body(body, 200, { 'content-type': 'text/event-stream; charset=utf-8' })
  } catch (error) {
    reader.close()
    throw error
  }
}

async function* preceded<T>(first: IteratorResult<T, void>, rest: AsyncGenerator<T, void>): AsyncGenerator<T, void> {
  try {
    if (first.done) return
    yield first.value
    yield* rest
  } finally {
    await rest.return()
  }
}

/** Whoever reads a stream: the signal is raised when they leave, and when the stream has taken too long. */
class StreamReader {
  readonly #controller = new AbortController()
  readonly #cancelTimer: () => void
  readonly #releases: readonly (() => void)[]
  #left = false

  constructor({ clock, limits }: AppDeps, c: Context<AppEnv>) {
    // The request's own signal is no longer raised once its handler has answered.
    this.#releases = [c.get('context').signal, c.req.raw.signal].map((signal) =>
      onAbort(signal, () => this.#end(abortError(signal))),
    )
    const { streamedAnswerMs } = limits
    this.#cancelTimer = clock.after(streamedAnswerMs, () =>
      this.#controller.abort(
        new VergeError(
          'deadline_exceeded',
          `The answer was not complete within ${streamedAnswerMs} ms. Request fewer tokens.`,
          {
            details: { timeout_ms: streamedAnswerMs },
          },
        ),
      ),
    )
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Whether nobody listens any more. */
  get left(): boolean {
    return this.#left
  }

  leave(reason: unknown): void {
    this.#left = true
    this.#controller.abort(reason)
  }

  close(): void {
    this.#cancelTimer()
    for (const release of this.#releases) release()
  }

  #end(error: VergeError): void {
    this.#left = error.code === 'cancelled'
    this.#controller.abort(error)
  }
}

class UsageCount {
  readonly #prompt: number
  #completion = 0

  constructor(prompts: readonly PreparedPrompt[]) {
    this.#prompt = prompts.reduce((sum, { ids }) => sum + ids.length, 0)
  }

  add(tokens: number): void {
    this.#completion += tokens
  }

  get usage(): GenerationUsage {
    return {
      prompt_tokens: this.#prompt,
      completion_tokens: this.#completion,
      total_tokens: this.#prompt + this.#completion,
    }
  }
}
