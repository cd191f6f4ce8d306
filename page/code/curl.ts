import type { PanelRequest } from '../panels/request.ts'
import { jsonLiteral, shellWord } from './literal.ts'
import { type CodeContext, httpRequest, type Snippet } from './request.ts'

/** Systems refuse an argument of more than 128 KiB; long before that a command is no longer read. */
const LONGEST_ARGUMENT = 32_768

/** For a POSIX shell. Texts are streamed, and `-N` prints each part when it arrives. */
export function curlSnippet(request: PanelRequest, context: CodeContext): Snippet {
  const stream = request.method === 'chat' || request.method === 'complete'
  const { file, headers, json, path } = httpRequest(request, context, stream)
  const text = file === undefined ? jsonLiteral(json, 2) : ''
  const isLong = text.length > LONGEST_ARGUMENT
  const all = { 'content-type': file?.type ?? 'application/json', ...headers }
  const lines = [
    `curl ${stream ? '-N ' : ''}${shellWord(context.url + path)}`,
    ...Object.entries(all).map(([name, value]) => `-H ${shellWord(`${name}: ${value}`)}`),
    file === undefined && !isLong ? `-d ${shellWord(text)}` : `--data-binary @${file?.name ?? LONG_BODY}`,
    ...(context.picture ? ['-o answer.png'] : []),
  ]
  const note = isLong ? `# The body is long: save it as ${LONG_BODY}.\n` : ''
  return {
    id: 'curl',
    label: 'curl',
    language: 'sh',
    code: note + lines.join(' \\\n  '),
    ...(isLong && { body: { name: LONG_BODY, text } }),
  }
}

const LONG_BODY = 'request.json'
