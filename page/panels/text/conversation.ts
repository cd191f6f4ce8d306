/** A message of a chat, as it is sent. */
export interface Message {
  readonly role: 'system' | 'user' | 'assistant'
  readonly content: string
}

/** A message as it is shown. */
export interface ShownMessage extends Message {
  /** What a reader has to know of an answer: that it is not whole. */
  readonly note?: string | undefined
}

/** Why an answer is not whole; undefined where it is. */
export function noteOf(finishReason: 'stop' | 'length' | undefined): string | undefined {
  if (finishReason === 'stop') return undefined
  return finishReason === 'length' ? 'Ended at the maximum of tokens.' : 'Not complete.'
}

/** How a text is generated. Texts, because they are what fields hold. */
export interface Settings {
  readonly system: string
  readonly temperature: string
  readonly maxTokens: string
}

export interface CheckedSettings {
  readonly parameters: Readonly<Record<string, number>>
  /** What is wrong, and what to do. */
  readonly problem: string | undefined
}

/** What the fields say, in the words of the API; an empty field leaves the choice to the model. */
export function checkSettings(
  { maxTokens, temperature }: Settings,
  contextLength: number | undefined,
): CheckedSettings {
  const parameters: Record<string, number> = {}
  if (temperature.trim() !== '') {
    const value = Number(temperature)
    if (!(value >= 0 && value <= 2)) return { parameters, problem: 'The temperature must be a number from 0 to 2.' }
    parameters.temperature = value
  }
  if (maxTokens.trim() !== '') {
    const value = Number(maxTokens)
    const most = contextLength ?? Number.MAX_SAFE_INTEGER
    if (!Number.isInteger(value) || value < 1 || value > most) {
      return {
        parameters,
        problem: `The maximum of tokens must be a whole number from 1${contextLength === undefined ? ' on' : ` to ${most}`}.`,
      }
    }
    parameters.max_tokens = value
  }
  return { parameters, problem: undefined }
}

/** The messages of a request: the system's first, then what was said, then what is asked now. */
export function messagesOf(system: string, said: readonly Message[], asked: string): Message[] {
  return [
    ...(system.trim() === '' ? [] : [{ role: 'system', content: system } as const]),
    ...said.map(({ content, role }) => ({ role, content })),
    { role: 'user', content: asked },
  ]
}
