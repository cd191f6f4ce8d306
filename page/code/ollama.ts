import type { PanelRequest } from '../panels/request.ts'
import { jsLiteral } from './literal.ts'
import { type CodeContext, type Snippet, visitedPlace } from './request.ts'

/** What Ollama calls the fields of a text that it has. */
const OPTIONS: Readonly<Record<string, string>> = {
  max_tokens: 'num_predict',
  temperature: 'temperature',
  top_k: 'top_k',
  top_p: 'top_p',
  min_p: 'min_p',
  seed: 'seed',
  stop: 'stop',
  frequency_penalty: 'frequency_penalty',
  presence_penalty: 'presence_penalty',
  repetition_penalty: 'repeat_penalty',
}

/** What the panel leaves out has other defaults there. */
const SAME = { temperature: 1, top_k: 0, top_p: 1 }

/** Ollama's client, for texts of the live version: it cannot name another one. */
export function ollamaSnippets(
  { input, method, parameters = {} }: PanelRequest,
  context: CodeContext,
): readonly Snippet[] {
  if ((method !== 'chat' && method !== 'complete') || context.version !== undefined) return []
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined)
  if (given.some(([name]) => OPTIONS[name] === undefined)) return []
  const { headers: place, key } = visitedPlace(context)
  const headers = { ...(context.needsKey && { authorization: `Bearer ${key}` }), ...place }
  const host = { host: `${context.url}/ollama`, ...(Object.keys(headers).length > 0 && { headers }) }
  const request = {
    model: context.model,
    ...(method === 'chat' ? { messages: input } : { prompt: input, raw: true }),
    options: { ...SAME, ...Object.fromEntries(given.map(([name, value]) => [OPTIONS[name], value])) },
    stream: true,
  }
  const code = [
    "import { Ollama } from 'ollama'",
    '',
    `const ollama = new Ollama(${jsLiteral(host)})`,
    `const parts = await ollama.${method === 'chat' ? 'chat' : 'generate'}(${jsLiteral(request)})`,
    "let answer = ''",
    `for await (const part of parts) answer += part.${method === 'chat' ? 'message.content' : 'response'}`,
    'console.log(answer)',
  ]
  return [{ id: 'ollama', label: 'Ollama', language: 'js', code: code.join('\n') }]
}
