import type { PanelRequest } from '../panels/request.ts'
import { jsonLiteral, shellWord } from './literal.ts'
import { type CodeContext, httpRequest, type Snippet } from './request.ts'

/** Systems refuse an argument of more than 128 KiB; long before that a command is no longer read. */
const LONGEST_ARGUMENT = 32_768

/** For a POSIX shell. Texts are streamed, and `-N` prints each part when it arrives. */
export function curlSnippet(request: PanelRequest, context: CodeContext): Snippet {
  const stream = request.method === 'chat' || request.method === 'complete'
  const { file, headers, json, path } = httpRequest(request, context, stream)
  const all = { 'content-type': file?.type ?? 'application/json', ...headers }
  const lines = [
    `curl ${stream ? '-N ' : ''}${shellWord(context.url + path)}`,
    ...Object.entries(all).map(([name, value]) => `-H ${shellWord(`${name}: ${value}`)}`),
    file === undefined ? jsonBody(json) : `--data-binary @${file.name}`,
    ...(context.picture ? ['-o answer.png'] : []),
  ]
  const note =
    file === undefined && lines.includes(REQUEST_FILE) ? '# The body is long: save it as request.json.\n' : ''
  return { id: 'curl', label: 'curl', language: 'sh', code: note + lines.join(' \\\n  ') }
}

const REQUEST_FILE = '--data-binary @request.json'

function jsonBody(value: unknown): string {
  const text = jsonLiteral(value, 2)
  return text.length > LONGEST_ARGUMENT ? REQUEST_FILE : `-d ${shellWord(text)}`
}
