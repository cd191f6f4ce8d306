import { Environment, Interpreter, parse, tokenize } from '@huggingface/jinja'
import { isVergeError, VergeError } from '../core/errors.ts'
import { decodeUtf8 } from '../core/json.ts'
import type { ControlText, Prompt } from './control-text.ts'
import { strftime } from './strftime.ts'

export interface Message {
  readonly role: string
  /** Empty for a message that only calls tools. */
  readonly content: string
  readonly name?: string
  readonly toolCalls?: readonly ToolCall[]
  /** Of a tool's answer: the call that it answers. */
  readonly toolCallId?: string
}

/** A call of a tool that an assistant has made. */
export interface ToolCall {
  readonly id?: string
  readonly name: string
  /** JSON, as the assistant wrote it. */
  readonly arguments: string
}

/** UTF-16 units of a message that go into a template. */
export function lengthOf({ content, name = '', toolCallId = '', toolCalls = [] }: Message): number {
  const calls = toolCalls.reduce(
    (sum, call) => sum + call.name.length + call.arguments.length + (call.id ?? '').length,
    0,
  )
  return content.length + name.length + toolCallId.length + calls
}

export interface Rendering {
  readonly control: ControlText
  /** What a template calls `bos_token` and `eos_token`. */
  readonly bosToken: string
  readonly eosToken: string
  /** Milliseconds since 1970, for templates that tell the model the date. */
  readonly now: number
  /** UTF-16 units of the longest prompt. */
  readonly maxLength: number
  /** Values that the arguments of all tool calls may hold: the template's interpreter makes an object of each. */
  readonly maxValues: number
}

/** A longer list than any template counts over. */
const LONGEST_RANGE = 10_000

/**
 * A `chat_template.jinja`: messages to the text that a model was trained to answer. It is the model owner's, and so is
 * trusted to end; what it makes is bounded.
 */
export class ChatTemplate {
  readonly #program: ReturnType<typeof parse>

  private constructor(program: ReturnType<typeof parse>) {
    this.#program = program
  }

  /** @throws manifest_invalid if the bytes are no template */
  static parse(bytes: Uint8Array): ChatTemplate {
    try {
      const source = decodeUtf8(bytes)
      if (source === undefined) throw new Error('it is not UTF-8')
      // As transformers sets Jinja up.
      return new ChatTemplate(parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true })))
    } catch (cause) {
      throw unusable(cause)
    }
  }

  /**
   * The prompt for an answer to these messages.
   * @throws invalid_request with the template's own words where it refuses them, input_too_large, manifest_invalid
   */
  render(messages: readonly Message[], rendering: Rendering): Prompt {
    const { bosToken, control, eosToken, maxLength, maxValues, now } = rendering
    const reader = new ArgumentReader(control, maxValues)
    const environment = new Environment()
    const variables: Readonly<Record<string, unknown>> = {
      true: true,
      True: true,
      false: false,
      False: false,
      none: null,
      None: null,
      range,
      raise_exception: refuse,
      strftime_now: (format: string) => strftime(now, String(format)),
      // transformers' templates ask whether these are none, not whether they are there.
      tools: null,
      documents: null,
      messages: messages.map((message) => messageFor(message, control, reader)),
      add_generation_prompt: true,
      bos_token: bosToken,
      eos_token: eosToken,
    }
    for (const [name, value] of Object.entries(variables)) environment.set(name, value)
    const text = this.#run(environment)
    if (text.length <= maxLength) return control.read(text)
    throw new VergeError(
      'input_too_large',
      `The messages may have at most ${maxLength} characters together. Send less text.`,
      {
        details: { field: 'messages', limit_characters: maxLength },
      },
    )
  }

  #run(environment: Environment): string {
    try {
      const result: unknown = new Interpreter(environment).run(this.#program).value
      return typeof result === 'string' ? result : ''
    } catch (cause) {
      throw isVergeError(cause) ? cause : unusable(cause)
    }
  }
}

/** A message as templates know it, with a mark in everything that reads as a control token. */
function messageFor(
  { content, name, role, toolCallId, toolCalls }: Message,
  control: ControlText,
  reader: ArgumentReader,
) {
  return {
    role,
    content: control.marked(content),
    ...(name !== undefined && { name: control.marked(name) }),
    ...(toolCallId !== undefined && { tool_call_id: control.marked(toolCallId) }),
    ...(toolCalls !== undefined && {
      tool_calls: toolCalls.map((call) => ({
        type: 'function',
        ...(call.id !== undefined && { id: control.marked(call.id) }),
        function: { name: control.marked(call.name), arguments: reader.read(call.arguments) },
      })),
    }),
  }
}

/** Deeper arguments stay the text that they came as: the template's interpreter calls itself for each level. */
const DEEPEST_ARGUMENTS = 32

/** Reads the arguments of one chat's tool calls. */
class ArgumentReader {
  readonly #control: ControlText
  readonly #most: number
  #values = 0

  constructor(control: ControlText, most: number) {
    this.#control = control
    this.#most = most
  }

  /**
   * Arguments as an object, as templates and vLLM have them; what is no JSON object stays a text.
   * @throws input_too_large if they hold too many values, with those that were read before
   */
  read(text: string): unknown {
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch {
      return this.#control.marked(text)
    }
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    const own = isObject ? this.#marked(value, DEEPEST_ARGUMENTS) : undefined
    return own ?? this.#control.marked(text)
  }

  /** Undefined for what is too deep. */
  #marked(value: unknown, depth: number): unknown {
    if (++this.#values > this.#most) {
      throw new VergeError(
        'input_too_large',
        `The arguments of the tool calls in a chat may have ${this.#most} values together. Send shorter arguments.`,
        { details: { field: 'messages', limit_values: this.#most } },
      )
    }
    if (typeof value === 'string') return this.#control.marked(value)
    if (typeof value !== 'object' || value === null) return value
    if (depth === 0) return undefined
    const own: [string, unknown][] = []
    for (const [key, each] of Object.entries(value))
      own.push([this.#control.marked(key), this.#marked(each, depth - 1)])
    if (own.some(([, each]) => each === undefined)) return undefined
    return Array.isArray(value) ? own.map(([, each]) => each) : Object.fromEntries(own)
  }
}

/** `raise_exception`: how templates refuse what their model was not trained for, such as a system message. */
function refuse(reason: unknown): never {
  throw new VergeError(
    'invalid_request',
    `The model's chat template rejects these messages: ${String(reason).slice(0, 300)}`,
    { details: { field: 'messages' } },
  )
}

/** Python's. @throws Error where it would be too long */
function range(first: number, second?: number, step = 1): number[] {
  const [from, to] = second === undefined ? [0, first] : [first, second]
  const length = Math.max(0, Math.ceil((to - from) / step))
  if (!(length <= LONGEST_RANGE)) throw new Error(`range() of more than ${LONGEST_RANGE}`)
  return Array.from({ length }, (_, i) => from + i * step)
}

function unusable(cause: unknown): VergeError {
  return new VergeError(
    'manifest_invalid',
    "The model's chat template is invalid. Push the model again with a valid template.",
    { cause },
  )
}
