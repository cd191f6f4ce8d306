import type { PanelRequest } from '../panels/request.ts'
import { jsLiteral } from './literal.ts'
import { type CodeContext, type Snippet, visitedPlace } from './request.ts'

/** What Anthropic calls the fields of a chat that it has. */
const FIELDS: Readonly<Record<string, string>> = {
  max_tokens: 'max_tokens',
  temperature: 'temperature',
  top_k: 'top_k',
  top_p: 'top_p',
  stop: 'stop_sequences',
}

/** It has no default, and one has to be given. */
const MAX_TOKENS = 256

/** Anthropic's client, for chats that can be asked for in its words. */
export function anthropicSnippets(
  { input, method, parameters = {} }: PanelRequest,
  context: CodeContext,
): readonly Snippet[] {
  if (method !== 'chat') return []
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined)
  if (given.some(([name]) => FIELDS[name] === undefined) || Number(parameters.temperature ?? 0) > 1) return []
  const messages = input as readonly { readonly role: string; readonly content: string }[]
  const system = messages.filter(({ role }) => role === 'system').map(({ content }) => content)
  const request = {
    model: context.model,
    max_tokens: MAX_TOKENS,
    ...(system.length > 0 && { system: system.join('\n') }),
    messages: messages.filter(({ role }) => role !== 'system'),
    ...Object.fromEntries(given.map(([name, value]) => [FIELDS[name], value])),
  }
  const { headers, key } = visitedPlace(context)
  const options = {
    baseURL: `${context.url}/anthropic`,
    apiKey: key,
    ...(context.version !== undefined && { defaultQuery: { version: context.version } }),
    ...(headers && { defaultHeaders: headers }),
  }
  const code = [
    "import Anthropic from '@anthropic-ai/sdk'",
    '',
    `const anthropic = new Anthropic(${jsLiteral(options)})`,
    `const stream = anthropic.messages.stream(${jsLiteral(request)})`,
    'console.log(await stream.finalText())',
  ]
  return [{ id: 'anthropic', label: 'Anthropic', language: 'js', code: code.join('\n') }]
}
