import type { Manifest } from '../catalog/manifest.ts'
import type { ModelFile } from '../catalog/model-file.ts'
import { CHAT_TEMPLATE_FILE, type GenerationSettings } from '../catalog/settings/generation.ts'
import { VergeError } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import { finish, type Work, type WorkCost } from '../core/work.ts'
import { openTokenizer, tokenizerFile } from '../media/text/model-tokenizer.ts'
import { STEPS_PER_UNIT, type TextTokenizer } from '../media/text/tokenizer.ts'
import { ChatTemplate, lengthOf, type Message } from './chat.ts'
import { ControlText } from './control-text.ts'
import { generationEvents } from './generation-events.ts'
import { seededRandom, seedOf } from './random.ts'
import { type Sampling, sampler } from './sampler.ts'

/** How tokens are asked for; a session's own options but for what a request adds. */
export interface TokenOptions {
  readonly stopTokens: ReadonlySet<number>
  readonly maxNewTokens: number
  readonly choose: (logits: Float32Array) => number
  readonly signal: AbortSignal
}

/** What writing asks of the serving side, for one model and one request. */
export interface LanguageModel {
  readonly manifest: Manifest
  file<T>(file: ModelFile<T>): Promise<T>
  /** Refuses what is over the cost limit before anything has run. Absent where nothing is priced. @throws cost_too_high */
  readonly checkCost?: (runs: readonly ReadonlyMap<string, { readonly shape: readonly number[] }>[]) => void
  /** Most tokens of an answer by the caller's plan. */
  readonly mostNewTokens?: number | undefined
  /** To be read to the end, or left by ending the iteration. */
  generate(prompt: readonly number[], options: TokenOptions): Promise<{ readonly tokens: AsyncIterable<number> }>
  /** As a task's: does long work in pieces. */
  readonly perform?: <T>(work: Work<T>, cost?: WorkCost) => Promise<T>
  /** A fresh identifier: the seed of a request that brings none. */
  readonly randomId: () => string
}

/** What a request asks for, whichever protocol it came by. */
export interface GenerationRequest {
  readonly sampling: Sampling
  /** Undefined: as the manifest says, or what the context leaves. */
  readonly maxNewTokens: number | undefined
  readonly stop: readonly string[]
  readonly seed: number | undefined
}

/** A prompt that fits, with what it leaves for an answer. */
export interface PreparedPrompt {
  readonly ids: readonly number[]
  readonly maxNewTokens: number
  readonly continues: boolean
}

/** New tokens where neither a request nor the manifest says. */
const DEFAULT_NEW_TOKENS = 256

/** Runs of one answer that are priced one by one: nothing for which so many are too few is refused for its cost. */
const MOST_STEPS = 65_536

type GenerationLimits = Pick<
  Limits,
  'chatArguments' | 'chatLength' | 'chatMessages' | 'promptLengthPerToken' | 'stepsBetweenPauses'
>

const CHAT_TEMPLATE: ModelFile<ChatTemplate> = {
  name: CHAT_TEMPLATE_FILE,
  parse: (bytes) => ChatTemplate.parse(bytes),
}

/** Turns what a request asks for into prompts that fit a model, and prompts into text. */
export class TextGenerator {
  readonly settings: GenerationSettings
  readonly tokenizer: TextTokenizer
  readonly #model: LanguageModel
  readonly #request: GenerationRequest
  readonly #limits: GenerationLimits

  private constructor(
    model: LanguageModel,
    request: GenerationRequest,
    settings: GenerationSettings,
    tokenizer: TextTokenizer,
    limits: GenerationLimits,
  ) {
    this.#model = model
    this.#limits = limits
    this.#request = request
    this.settings = settings
    this.tokenizer = tokenizer
  }

  /** Files that are read to write a text, or to answer in a chat. */
  static files(manifest: Pick<Manifest, 'files'>, asked: 'text' | 'chat'): readonly ModelFile[] {
    return asked === 'chat' ? [tokenizerFile(manifest), CHAT_TEMPLATE] : [tokenizerFile(manifest)]
  }

  /** @throws manifest_invalid, weights_unavailable */
  static async open(
    model: LanguageModel,
    request: GenerationRequest,
    limits: GenerationLimits,
  ): Promise<TextGenerator> {
    const settings = model.manifest.generation
    if (settings === undefined) {
      throw new VergeError(
        'manifest_invalid',
        `Model "${model.manifest.model}" has no generation settings. Set "preprocess.generation" in its verge.json and push it again.`,
      )
    }
    return new TextGenerator(model, request, settings, await openTokenizer(model), limits)
  }

  /**
   * @param now milliseconds since 1970
   * @throws task_mismatch if the model has no chat template, invalid_request, context_length_exceeded
   */
  async chat(messages: readonly Message[], now: number): Promise<PreparedPrompt> {
    const { manifest } = this.#model
    const { chatArguments, chatLength, chatMessages } = this.#limits
    if (!Object.hasOwn(manifest.files ?? {}, CHAT_TEMPLATE_FILE)) {
      throw new VergeError(
        'task_mismatch',
        `Model "${manifest.model}" has no chat template, so it only continues texts. Send a "prompt" to POST /v1/completions.`,
        { details: { field: 'model' } },
      )
    }
    if (messages.length > chatMessages) {
      throw new VergeError('input_too_large', `A chat may have at most ${chatMessages} messages. Send fewer.`, {
        details: { field: 'messages', limit_messages: chatMessages },
      })
    }
    this.#refuseLong(
      messages.reduce((sum, message) => sum + lengthOf(message), 0),
      'messages',
    )
    const template = await this.#model.file(CHAT_TEMPLATE)
    const { text, literal } = template.render(messages, {
      control: new ControlText(this.tokenizer),
      bosToken: this.settings.bosToken ?? this.tokenizer.firstToken ?? '',
      eosToken: this.settings.eosToken ?? this.#textOf(this.settings.stopTokens[0]),
      now,
      maxLength: chatLength,
      maxValues: chatArguments,
    })
    // The template has put special tokens where they belong.
    const most = this.settings.contextLength + 1
    const tokens = await this.#perform(this.tokenizer.read(text, { most, literal }), text)
    return this.#fit(
      tokens.map(({ id }) => id),
      'messages',
      false,
    )
  }

  /** Any text that has tokens, blanks alone among them. @throws context_length_exceeded, empty_input */
  async text(prompt: string, field: string): Promise<PreparedPrompt> {
    this.#refuseLong(prompt.length, field)
    const most = Math.max(0, this.settings.contextLength + 1 - this.tokenizer.specialTokens(false))
    const tokens = await this.#perform(this.tokenizer.read(prompt, { most }), prompt)
    return this.#fit(this.tokenizer.frame(tokens).ids, field, true)
  }

  /** @throws invalid_request for a number that is no token's, context_length_exceeded */
  ids(prompt: readonly number[], field: string): PreparedPrompt {
    const wrong = prompt.findIndex((id) => !this.tokenizer.knows(id))
    if (wrong !== -1) {
      throw new VergeError('invalid_request', `"${field}[${wrong}]" is not a token of this model.`, {
        details: { field: `${field}[${wrong}]` },
      })
    }
    return this.#fit(prompt, field, true)
  }

  /** Refuses prompts that together are over the cost limit, answers included. @throws cost_too_high */
  checkCost(prompts: readonly PreparedPrompt[]): void {
    const name = this.#model.manifest.inputs[0]?.name
    if (name === undefined) return
    const step = new Map([[name, { shape: [1, 1] }]])
    const runs = prompts.flatMap(({ ids, maxNewTokens }) => [
      new Map([[name, { shape: [1, ids.length] }]]),
      // Each token is a run of its own, and has what every run costs.
      ...new Array<typeof step>(Math.min(maxNewTokens, MOST_STEPS)).fill(step),
    ])
    this.#model.checkCost?.(runs)
  }

  /**
   * @param index of the prompt in its request: answers to the same prompt differ, and are the same again for one seed
   * @returns when the model is there; it has written nothing yet
   */
  async generate({ continues, ids, maxNewTokens }: PreparedPrompt, index: number, signal: AbortSignal) {
    const { sampling, seed, stop } = this.#request
    // As one number, a great seed would swallow the index.
    const random = seededRandom(BigInt(seed ?? seedOf(this.#model.randomId())) + BigInt(index))
    const { tokens } = await this.#model.generate(ids, {
      stopTokens: new Set(this.settings.stopTokens),
      maxNewTokens,
      choose: sampler(ids, sampling, random),
      signal,
    })
    return generationEvents(tokens, { tokenizer: this.tokenizer, continues, stop, maxNewTokens })
  }

  /** What takes less than a turn of the event loop is done at once. */
  async #perform<T>(work: Work<T>, { length }: string): Promise<T> {
    const { perform } = this.#model
    const steps = length * STEPS_PER_UNIT
    return perform === undefined || steps < this.#limits.stepsBetweenPauses ? finish(work) : perform(work, steps)
  }

  #textOf(id: number | undefined): string {
    return id === undefined ? '' : this.tokenizer.tokenText(id)
  }

  /** Refuses what cannot fit, by its length in UTF-16 units alone. */
  #refuseLong(length: number, field: string): void {
    const { contextLength } = this.settings
    const most = Math.min(contextLength * this.#limits.promptLengthPerToken, this.#limits.chatLength)
    if (length <= most) return
    throw new VergeError(
      'context_length_exceeded',
      `The context length of this model is ${contextLength} tokens, so a prompt may have at most ${most} characters. Shorten the prompt.`,
      { details: { field, limit_tokens: contextLength, limit_characters: most } },
    )
  }

  #fit(ids: readonly number[], field: string, continues: boolean): PreparedPrompt {
    const { contextLength, defaultMaxTokens = DEFAULT_NEW_TOKENS } = this.settings
    const asked = this.#request.maxNewTokens
    assertAnswerLength(asked, this.#model.mostNewTokens)
    const most = this.#model.mostNewTokens ?? Number.POSITIVE_INFINITY
    const left = contextLength - ids.length
    if (ids.length === 0) {
      throw new VergeError('empty_input', `"${field}" contains no tokens that the model knows. Send some words.`, {
        details: { field },
      })
    }
    if (left < (asked ?? 1)) {
      const count = left < 0 ? `more than ${contextLength}` : String(ids.length)
      throw new VergeError(
        'context_length_exceeded',
        `The context length of this model is ${contextLength} tokens, but the prompt has ${count} and the answer ${asked ?? 'at least 1'}. Shorten the prompt, or request fewer tokens.`,
        { details: { field, limit_tokens: contextLength } },
      )
    }
    return { ids, continues, maxNewTokens: asked ?? Math.min(defaultMaxTokens, left, most) }
  }
}

/**
 * Refuses an answer that may be longer than the caller's plan allows, as OpenAI refuses more than a model writes: a caller
 * who says nothing gets what the plan allows, and one who asks for more would take a text that is cut for a whole one.
 * @throws invalid_request
 */
export function assertAnswerLength(asked: number | undefined, most: number | undefined): void {
  if (asked === undefined || most === undefined || asked <= most) return
  throw new VergeError(
    'invalid_request',
    `Your plan allows answers of up to ${most} tokens, and the request asks for ${asked}. Request fewer tokens.`,
    { details: { field: 'max_tokens', limit_tokens: most, limit: 'plan' } },
  )
}
