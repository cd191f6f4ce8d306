import type { PanelRequest } from '../panels/request.ts'
import { jsLiteral } from './literal.ts'
import { type CodeContext, httpRequest, type Snippet } from './request.ts'

/** How a page gets the file that it sends. */
export const CHOSEN_FILE = "document.querySelector('input[type=file]').files[0]"

/** `fetch`, without any package. It asks for the whole answer: reading a stream by hand is what the client is for. */
export function fetchSnippet(request: PanelRequest, context: CodeContext): Snippet {
  const { file, headers, json, path } = httpRequest(request, context)
  const all = { 'content-type': file?.type ?? 'application/json', ...headers }
  const body = file === undefined ? `JSON.stringify(${jsLiteral(json, 2)})` : 'file'
  const code = [
    ...(file === undefined ? [] : [`const file = ${CHOSEN_FILE}`]),
    `const response = await fetch(${jsLiteral(context.url + path)}, {`,
    "  method: 'POST',",
    `  headers: ${jsLiteral(all, 2)},`,
    `  body: ${body},`,
    '})',
    'if (!response.ok) throw new Error(await response.text())',
    `console.log(await response.${context.picture ? 'blob' : 'json'}())`,
  ]
  return { id: 'fetch', label: 'fetch', language: 'js', code: code.join('\n') }
}
