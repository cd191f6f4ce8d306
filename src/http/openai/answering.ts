import type { Context } from 'hono'
import { abortError, VergeError } from '../../core/errors.ts'
import type { Finish, Written } from '../../generate/generate.ts'
import type { Prepared, Writer } from '../../generate/writer.ts'
import type { ModelRunner, Slot } from '../../inference/infer.ts'
import type { GenerationUsage } from '../../protocols/openai/generation.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { openAiErrorBody } from '../error-body.ts'
import { withPlacementHeaders } from '../inference.ts'
import { reportedError } from '../middleware/errors.ts'
import { shownTo } from '../shown-error.ts'
import { eventStream } from './sse.ts'

/** What is said in every answer and in every part of one. */
export interface Heading {
  readonly id: string
  readonly created: number
  readonly model: string
  readonly system_fingerprint?: string
}

export interface Choice {
  readonly index: number
  readonly text: string
  readonly finish: Finish
}

/** How a protocol puts texts into JSON. */
export interface Form {
  readonly idPrefix: string
  whole(heading: Heading, choices: readonly Choice[], usage: GenerationUsage): object
  /** Parts that open a text, before its first token. */
  opening(heading: Heading, index: number): readonly object[]
  /** A part of a text, or its end. */
  part(heading: Heading, index: number, text: string, finish: Finish | null): object
  /** What ends a stream that was asked for it: parts that belong to no text. */
  usage(heading: Heading, usage: GenerationUsage): object
}

export interface Answering {
  readonly runner: ModelRunner
  readonly writer: Writer
  readonly prompts: readonly Prepared[]
  readonly form: Form
  readonly stream: boolean
  /** Whether a stream ends with how many tokens there were. */
  readonly streamUsage: boolean
}

/** Writes answers to prompts, one after the other, whole or as a stream. */
export async function answer(deps: AppDeps, c: Context<AppEnv>, slot: Slot, answering: Answering): Promise<Response> {
  const { form, prompts, runner, stream, writer } = answering
  writer.checkCost(prompts)
  const heading = (): Heading => {
    const fingerprint = runner.fingerprint
    return { ...opened, ...(fingerprint !== undefined && { system_fingerprint: fingerprint }) }
  }
  const opened = {
    id: `${form.idPrefix}${deps.randomId()}`,
    created: Math.floor(deps.clock.now() / 1000),
    model: runner.model.manifest.model,
  }
  if (stream) return withPlacementHeaders(await streamed(deps, c, slot, answering, heading), runner)
  const choices = prompts.map((_, index) => ({ index, text: '', finish: 'stop' as Finish }))
  const count = new TokenCount(prompts)
  for await (const { index, written } of inTurn(writer, prompts, c.get('context').signal)) {
    const choice = choices[index]
    if (choice === undefined) continue
    if (written.kind === 'text') choice.text += written.text
    else {
      choice.finish = written.finish
      count.add(written.tokens)
    }
  }
  return withPlacementHeaders(c.json(form.whole(heading(), choices, count.usage)), runner)
}

interface Step {
  readonly index: number
  readonly written: Written
}

async function* inTurn(writer: Writer, prompts: readonly Prepared[], signal: AbortSignal): AsyncGenerator<Step, void> {
  for (const [index, prompt] of prompts.entries()) {
    for await (const written of await writer.write(prompt, index, signal)) yield { index, written }
  }
}

/** The answer begins with its first token: until then a failure is answered with a status of its own. */
async function streamed(
  deps: AppDeps,
  c: Context<AppEnv>,
  slot: Slot,
  { form, prompts, streamUsage, writer }: Answering,
  heading: () => Heading,
): Promise<Response> {
  const reader = new Reader(deps, c)
  const items = inTurn(writer, prompts, reader.signal)
  const count = new TokenCount(prompts)
  let last = -1
  try {
    const first = await items.next()
    slot.keep()
    const part = (body: object): object => (streamUsage ? { ...body, usage: null } : body)
    const body = eventStream<Step>({
      items: preceded(first, items),
      eventsOf: ({ index, written }) => {
        slot.renew()
        const opening = index > last ? form.opening(heading(), index) : []
        last = index
        if (written.kind === 'text') return [...opening, form.part(heading(), index, written.text, null)].map(part)
        count.add(written.tokens)
        const ending = [...opening, form.part(heading(), index, '', written.finish)].map(part)
        const whole = streamUsage && index === prompts.length - 1
        return whole ? [...ending, form.usage(heading(), count.usage)] : ending
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
class Reader {
  readonly #controller = new AbortController()
  readonly #cancelTimer: () => void
  readonly #signals: readonly AbortSignal[]
  #left = false

  constructor({ clock, limits }: AppDeps, c: Context<AppEnv>) {
    // The request's own signal is no longer raised once its handler has answered.
    this.#signals = [c.get('context').signal, c.req.raw.signal]
    for (const signal of this.#signals) {
      if (signal.aborted) this.#onAbort({ target: signal })
      else signal.addEventListener('abort', this.#onAbort, { once: true })
    }
    const { streamedAnswerMs } = limits
    this.#cancelTimer = clock.after(streamedAnswerMs, () =>
      this.#controller.abort(
        new VergeError(
          'deadline_exceeded',
          `The answer was not complete within ${streamedAnswerMs} ms. Ask for less.`,
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
    for (const signal of this.#signals) signal.removeEventListener('abort', this.#onAbort)
  }

  readonly #onAbort = ({ target }: { readonly target: unknown }): void => {
    const error = abortError(target as AbortSignal)
    this.#left = error.code === 'cancelled'
    this.#controller.abort(error)
  }
}

class TokenCount {
  readonly #prompt: number
  #completion = 0

  constructor(prompts: readonly Prepared[]) {
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
