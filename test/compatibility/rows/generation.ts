import type { CompatibilityRow } from '../row.ts'

const CLIENTS = 'test/e2e/clients-generation.full.ts'
const ORIGINS = 'test/e2e/origin-generation.full.ts'
const JSON_TYPE = "-H 'content-type: application/json'"
const MESSAGES = '"messages": [{"role": "user", "content": "What is 27 plus 58?"}]'

const responses: readonly CompatibilityRow[] = [
  {
    group: 'openai',
    what: '`responses.create` from a text or messages',
    state: 'works',
    client: 'openai',
    proof: { file: CLIENTS, test: 'are created from a text, behind the prefix too' },
    curl: `curl $VERGE/openai/v1/responses ${JSON_TYPE} \\
  -d '{"model": "abacus", "instructions": "Be brief.", "input": "What is 27 plus 58?", "temperature": 0}'`,
    note: 'Nothing is kept: send the whole conversation',
  },
  {
    group: 'openai',
    what: '`responses.create` with `stream`, `responses.stream`',
    state: 'works',
    client: 'openai',
    proof: { file: CLIENTS, test: 'stream through the helper' },
    curl: `curl $VERGE/openai/v1/responses ${JSON_TYPE} -d '{"model": "abacus", "input": "What is 27 plus 58?", "stream": true}'`,
  },
  {
    group: 'openai',
    what: "Responses through Vercel's AI SDK (its default)",
    state: 'works',
    client: '@ai-sdk/openai',
    proof: { file: CLIENTS, test: "are what Vercel's AI SDK asks its OpenAI provider for" },
    curl: `curl $VERGE/v1/responses ${JSON_TYPE} \\
  -d '{"model": "abacus", "input": [{"role": "user", "content": [{"type": "input_text", "text": "What is 2 plus 2?"}]}]}'`,
    note: 'Conversations need `store: false`',
  },
  {
    group: 'openai',
    what: 'Responses through LangChain (`useResponsesApi`)',
    state: 'works',
    client: '@langchain/openai',
    proof: { file: CLIENTS, test: 'are what LangChain asks for where it is told to' },
    curl: `curl $VERGE/v1/responses ${JSON_TYPE} \\
  -d '{"model": "abacus", "input": [{"role": "user", "content": "What is 2 plus 3?"}], "max_output_tokens": 8}'`,
  },
  {
    group: 'openai',
    what: '`responses.retrieve`, `previous_response_id`, `conversation`, `background`',
    state: 'declined',
    why: 'Verge keeps no answers: 501 `not_implemented`',
  },
]

const anthropic: readonly CompatibilityRow[] = [
  {
    group: 'anthropic',
    what: '`messages.create`',
    state: 'works',
    client: '@anthropic-ai/sdk',
    proof: { file: CLIENTS, test: 'creates a message, at the root too' },
    curl: `curl $VERGE/anthropic/v1/messages ${JSON_TYPE} \\
  -d '{"model": "abacus", "max_tokens": 100, "temperature": 0, ${MESSAGES}}'`,
  },
  {
    group: 'anthropic',
    what: '`messages.create` with `stream`, `messages.stream` and its helpers',
    state: 'works',
    client: '@anthropic-ai/sdk',
    proof: { file: CLIENTS, test: 'streams through its helper' },
    curl: `curl $VERGE/v1/messages ${JSON_TYPE} \\
  -d '{"model": "abacus", "max_tokens": 100, "stream": true, ${MESSAGES}}'`,
  },
  {
    group: 'anthropic',
    what: 'The same in a page of another origin (`CORS_ALLOW`)',
    state: 'works',
    client: '@anthropic-ai/sdk',
    proof: {
      file: 'test/e2e/clients-generation-page.full.ts',
      test: '@anthropic-ai/sdk streams, and reads a refusal as its own error',
    },
    curl: `curl $VERGE/anthropic/v1/messages ${JSON_TYPE} -H 'x-api-key: any' \\
  -d '{"model": "abacus", "max_tokens": 100, ${MESSAGES}}'`,
  },
  {
    group: 'anthropic',
    what: '`messages.countTokens`',
    state: 'works',
    client: '@anthropic-ai/sdk',
    proof: { file: CLIENTS, test: 'takes a system prompt in blocks, and counts tokens as they are billed' },
    curl: `curl $VERGE/anthropic/v1/messages/count_tokens ${JSON_TYPE} -d '{"model": "abacus", ${MESSAGES}}'`,
  },
  {
    group: 'anthropic',
    what: 'A model by a name of Anthropic (`MODEL_NAMES`)',
    state: 'works',
    client: '@anthropic-ai/sdk',
    proof: { file: CLIENTS, test: 'is answered by the name that it asked for' },
    curl: `curl $VERGE/anthropic/v1/messages ${JSON_TYPE} -d '{"model": "claude-opus-5", "max_tokens": 20, ${MESSAGES}}'`,
  },
  {
    group: 'anthropic',
    what: '`models.list`, `models.retrieve`',
    state: 'works',
    client: '@anthropic-ai/sdk',
    proof: { file: CLIENTS, test: 'lists models' },
    curl: "curl '$VERGE/anthropic/v1/models?limit=20'".replaceAll("'", '"'),
  },
  {
    group: 'anthropic',
    what: 'Tools, images, documents, `thinking`, a beginning of the answer, constrained answers',
    state: 'not yet',
    why: 'A request that asks for them is refused',
  },
  {
    group: 'anthropic',
    what: '`messages.batches`',
    state: 'not yet',
    why: 'Their addresses answer 501 `not_implemented`',
  },
]

const ollama: readonly CompatibilityRow[] = [
  {
    group: 'ollama',
    what: '`chat`, streamed or whole',
    state: 'works',
    client: 'ollama',
    proof: { file: CLIENTS, test: 'streams a chat' },
    curl: `curl $VERGE/ollama/api/chat -d '{"model": "abacus:latest", "options": {"temperature": 0}, ${MESSAGES}}'`,
  },
  {
    group: 'ollama',
    what: '`generate`, by the template or `raw`',
    state: 'works',
    client: 'ollama',
    proof: { file: CLIENTS, test: 'generates by the template, and continues raw texts' },
    curl: `curl $VERGE/api/generate \\
  -d '{"model": "abacus", "prompt": "27 plus 58 is", "raw": true, "stream": false, "options": {"temperature": 0, "stop": ["."]}}'`,
  },
  {
    group: 'ollama',
    what: '`embed`, `embeddings`',
    state: 'works',
    client: 'ollama',
    proof: { file: CLIENTS, test: 'embeds as /v1/embeddings does' },
    curl: `curl $VERGE/ollama/api/embed -d '{"model": "embedder", "input": ["the cat sat", "a dog ran"]}'`,
  },
  {
    group: 'ollama',
    what: '`list`, `show`, `ps`, `version`',
    state: 'works',
    client: 'ollama',
    proof: { file: CLIENTS, test: 'loads a model, and is told which there are' },
    curl: 'curl $VERGE/ollama/api/tags',
  },
  {
    group: 'ollama',
    what: 'A model whose texts a server of your own writes',
    state: 'works',
    client: 'ollama',
    proof: { file: ORIGINS, test: 'streams piece by piece' },
    curl: `curl $VERGE/ollama/api/chat -d '{"model": "abacus", "stream": false, ${MESSAGES}}'`,
    note: 'Any protocol of texts, over any origin of kind `verge` or `openai`',
  },
  {
    group: 'ollama',
    what: '`tools`, `format`, `think`, images, `suffix`, `template`, `context`',
    state: 'not yet',
    why: 'A request that asks for them is refused',
  },
  {
    group: 'ollama',
    what: '`pull`, `push`, `create`, `copy`, `delete`',
    state: 'declined',
    why: 'The operator changes models, by commands',
  },
]

export const rows: readonly CompatibilityRow[] = [...responses, ...anthropic, ...ollama]
