import type { PanelRequest } from '../panels/request.ts'
import { anthropicSnippets } from './anthropic.ts'
import { clientSnippet } from './client.ts'
import { curlSnippet } from './curl.ts'
import { fetchSnippet } from './fetch.ts'
import { ollamaSnippets } from './ollama.ts'
import { openAiSnippets } from './openai.ts'
import type { CodeContext, Snippet } from './request.ts'

/** The code that sends a panel's request, in each language in which there is a way to send it. */
export function snippets(request: PanelRequest, context: CodeContext): readonly Snippet[] {
  return [
    curlSnippet(request, context),
    fetchSnippet(request, context),
    clientSnippet(request, context),
    ...openAiSnippets(request, context),
    ...anthropicSnippets(request, context),
    ...ollamaSnippets(request, context),
  ]
}
