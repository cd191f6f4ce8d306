import { eventsOf } from './events.ts'
import { ask, type CallOptions, json, jsonRequest, open, type Transport } from './transport.ts'
import type { FinishReason, Usage } from './wire.ts'

/** A part of a text, as soon as it is generated. */
export interface TextDelta {
  /** Empty where the part only ends the text, or counts. */
  readonly text: string
  /** Position of the prompt that it answers; 0 for a chat. */
  readonly index: number
  /** Given with the last part of each text. */
  readonly finishReason: FinishReason | undefined
  /** Given once, at the end of all. */
  readonly usage: Usage | undefined
}

/** A whole text. */
export interface TextAnswer {
  readonly text: string
  readonly finishReason: FinishReason
}

/** The answer to a prompt, or to a list of them. */
export interface TextResult extends TextAnswer {
  /** All texts, in the order of the prompts. `text` and `finishReason` are those of the first. */
  readonly texts: readonly TextAnswer[]
  readonly usage: Usage
}

/**
 * A text that is yet to be asked for. Iterating over it sends the request and yields each part as it arrives; leaving the
 * loop ends the request. `answer()` sends it and resolves with the whole text. Each of them is a request of its own.
 */
export interface GeneratedText extends AsyncIterable<TextDelta> {
  answer(): Promise<TextResult>
}

/** As much of a choice as chats and completions have, whole or in parts. */
interface Choice {
  readonly index: number
  readonly text?: string
  readonly message?: { readonly content: string }
  readonly delta?: { readonly content?: string | undefined }
  readonly finish_reason: FinishReason | null
}

/** A chat's or a completion's event. */
export interface Generated {
  readonly choices: readonly Choice[]
  readonly usage?: Usage | null | undefined
}

/** @param body of the request, in OpenAI's words */
export function generatedText(
  transport: Transport,
  path: string,
  body: Readonly<Record<string, unknown>>,
  options: CallOptions,
): GeneratedText {
  const request = (more: object) => jsonRequest(path, { ...body, ...more }, options.version)
  return {
    async answer() {
      const { choices, usage } = await ask(transport, request({}), options, json<WholeText>)
      const texts = choices.map((choice) => ({ text: textOf(choice), finishReason: choice.finish_reason }))
      const [first = { text: '', finishReason: 'stop' as const }] = texts
      return { ...first, texts, usage }
    },
    async *[Symbol.asyncIterator]() {
      const opened = await open(transport, request({ stream: true, stream_options: { include_usage: true } }), options)
      for await (const event of eventsOf(opened, transport.clock.now)) {
        const { choices, usage } = event as Generated
        for (const choice of choices) {
          const text = textOf(choice)
          const finishReason = choice.finish_reason ?? undefined
          if (text !== '' || finishReason) yield { text, index: choice.index, finishReason, usage: undefined }
        }
        if (usage) yield { text: '', index: 0, finishReason: undefined, usage }
      }
    },
  }
}

/** A whole chat or completion. */
export interface WholeText {
  readonly choices: readonly (Choice & { readonly finish_reason: FinishReason })[]
  readonly usage: Usage
}

function textOf({ delta, message, text }: Choice): string {
  return text ?? message?.content ?? delta?.content ?? ''
}
