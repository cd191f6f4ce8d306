import type { PanelRequest } from '../panels/request.ts'
import { jsLiteral, pythonLiteral } from './literal.ts'
import { type CodeContext, httpRequest, type Snippet, visitedPlace } from './request.ts'

/** Fields that OpenAI's Python client takes as arguments; all others of Verge's go beside them. */
const OPENAI_FIELDS: ReadonlySet<string> = new Set([
  'model',
  'messages',
  'prompt',
  'input',
  'dimensions',
  'encoding_format',
  'max_tokens',
  'max_completion_tokens',
  'temperature',
  'top_p',
  'frequency_penalty',
  'presence_penalty',
  'stop',
  'seed',
  'stream',
  'user',
])

const CALLS = { chat: 'chat.completions', complete: 'completions', embed: 'embeddings' } as const

/** OpenAI's clients, for the routes that OpenAI has. */
export function openAiSnippets(request: PanelRequest, context: CodeContext): readonly Snippet[] {
  const { method } = request
  if (method !== 'chat' && method !== 'complete' && method !== 'embed') return []
  const { json } = httpRequest(request, { ...context, version: undefined }, true)
  const fields = json as Readonly<Record<string, unknown>>
  return [javascript(method, fields, context), python(method, fields, context)]
}

function javascript(method: keyof typeof CALLS, fields: object, context: CodeContext): Snippet {
  const { headers, key } = visitedPlace(context)
  const options = {
    baseURL: `${context.url}/v1`,
    apiKey: key,
    ...(context.version !== undefined && { defaultQuery: { version: context.version } }),
    ...(headers && { defaultHeaders: headers }),
  }
  const call = `openai.${CALLS[method]}.create(${jsLiteral(fields)})`
  const delta = method === 'chat' ? 'chunk.choices[0]?.delta.content' : 'chunk.choices[0]?.text'
  const code = [
    "import OpenAI from 'openai'",
    '',
    `const openai = new OpenAI(${jsLiteral(options)})`,
    ...(method === 'embed'
      ? [`const { data } = await ${call}`, 'console.log(data.map(({ embedding }) => embedding))']
      : [
          `const stream = await ${call}`,
          `let answer = ''`,
          `for await (const chunk of stream) answer += ${delta} ?? ''`,
          'console.log(answer)',
        ]),
  ]
  return { id: 'openai', label: 'OpenAI (JavaScript)', language: 'js', code: code.join('\n') }
}

function python(method: keyof typeof CALLS, fields: Readonly<Record<string, unknown>>, context: CodeContext): Snippet {
  const { headers, key } = visitedPlace(context)
  const options: [string, unknown][] = [
    ['base_url', `${context.url}/v1`],
    ['api_key', key],
    ...(context.version === undefined ? [] : [['default_query', { version: context.version }] as [string, unknown]]),
    ...(headers === undefined ? [] : [['default_headers', headers] as [string, unknown]]),
  ]
  const given = Object.entries(fields).filter(([, value]) => value !== undefined)
  const own = given.filter(([name]) => OPENAI_FIELDS.has(name))
  const beside = given.filter(([name]) => !OPENAI_FIELDS.has(name))
  const all = [
    ...own,
    ...(beside.length === 0 ? [] : [['extra_body', Object.fromEntries(beside)] as [string, unknown]]),
  ]
  const call = [
    `client.${CALLS[method]}.create(`,
    ...all.map(([name, value]) => `    ${name}=${pythonLiteral(value, 4, 5 + name.length)},`),
    ')',
  ].join('\n')
  const delta = method === 'chat' ? 'chunk.choices[0].delta.content' : 'chunk.choices[0].text'
  const code = [
    'from openai import OpenAI',
    '',
    `client = OpenAI(${options.map(([name, value]) => `${name}=${pythonLiteral(value)}`).join(', ')})`,
    ...(method === 'embed'
      ? [`answer = ${call}`, 'print([item.embedding for item in answer.data])']
      : [
          `stream = ${call}`,
          'for chunk in stream:',
          '    if chunk.choices:',
          `        print(${delta} or "", end="", flush=True)`,
          'print()',
        ]),
  ]
  return { id: 'python', label: 'OpenAI (Python)', language: 'py', code: code.join('\n') }
}
