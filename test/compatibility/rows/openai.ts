import type { CompatibilityRow } from '../row.ts'

const CLIENTS = 'test/e2e/clients.test.ts'
const ANY_KEY = 'test/e2e/clients-any-key.test.ts'
const CHAT = 'test/e2e/openai-chat.test.ts'
const JSON_TYPE = "-H 'content-type: application/json'"

export const rows: readonly CompatibilityRow[] = [
  {
    group: 'openai',
    what: '`models.list`, `models.retrieve`',
    state: 'works',
    client: 'openai',
    proof: { file: CLIENTS, test: 'openai lists models, and reads our errors as its own' },
    curl: 'curl $VERGE/openai/v1/models',
  },
  {
    group: 'openai',
    what: '`chat.completions.create`',
    state: 'works',
    client: 'openai',
    proof: { file: CHAT, test: 'is answered' },
    curl: `curl $VERGE/openai/v1/chat/completions ${JSON_TYPE} \\
  -d '{"model": "abacus", "messages": [{"role": "user", "content": "What is 27 plus 58?"}], "temperature": 0}'`,
  },
  {
    group: 'openai',
    what: '`chat.completions.create` with `stream`',
    state: 'works',
    client: 'openai',
    proof: { file: CHAT, test: 'streams what it is answered whole' },
    curl: `curl $VERGE/openai/v1/chat/completions ${JSON_TYPE} \\
  -d '{"model": "abacus", "messages": [{"role": "user", "content": "What is 27 plus 58?"}], "stream": true}'`,
  },
  {
    group: 'openai',
    what: '`completions.create`',
    state: 'works',
    client: 'openai',
    proof: { file: CHAT, test: 'continues a text' },
    curl: `curl $VERGE/openai/v1/completions ${JSON_TYPE} -d '{"model": "abacus", "prompt": "27 plus 58 is", "max_tokens": 4}'`,
  },
  {
    group: 'openai',
    what: 'Chats through LangChain, whole and streamed',
    state: 'works',
    client: '@langchain/openai',
    proof: { file: ANY_KEY, test: 'LangChain invokes and streams' },
    curl: `curl $VERGE/v1/chat/completions ${JSON_TYPE} \\
  -d '{"model": "abacus", "messages": [{"role": "user", "content": "What is 2 plus 2?"}]}'`,
  },
  {
    group: 'openai',
    what: "Chats through Vercel's AI SDK, whole and streamed",
    state: 'works',
    client: 'ai',
    proof: {
      file: ANY_KEY,
      test: "Vercel's AI SDK generates and streams, by its OpenAI provider and its provider for compatible servers",
    },
    curl: `curl $VERGE/v1/chat/completions ${JSON_TYPE} \\
  -d '{"model": "abacus", "messages": [{"role": "user", "content": "What is 2 plus 3?"}], "max_tokens": 8}'`,
  },
  {
    group: 'openai',
    what: 'Tools and constrained answers (`tools`, `response_format`)',
    state: 'not yet',
    why: 'A request that asks for them is refused',
  },
  {
    group: 'openai',
    what: '`audio`, `images`, `moderations`, `batches`, `files`',
    state: 'not yet',
    why: 'Their addresses answer 501 `not_implemented`',
  },
]
