import { type ProtocolCall, protocolErrors } from '../contract/protocol-errors.ts'

/** A text longer than `LIMITS_OF_TEXTS` allow. */
const LONG = 'the '.repeat(100)
const LIMITS_OF_TEXTS = { textLength: 100, requestItems: 40, embeddingsPerRequest: 4 }
const MANY = Array.from({ length: 30 }, () => 'the')
const LIMITS_OF_CHATS = { chatLength: 100, chatMessages: 4, requestItems: 400 }
/** Of speakers who take turns: those of one speaker in a row may be taken for one. */
const MANY_MESSAGES = Array.from({ length: 31 }, (_, i) => ({
  role: i % 2 === 0 ? 'user' : 'assistant',
  content: 'Hi',
}))

const CALLS: readonly ProtocolCall[] = [
  {
    name: 'OpenAI, /v1/embeddings',
    protocol: 'openai',
    path: () => '/v1/embeddings',
    body: (model) => ({ model, input: 'the' }),
    task: 'feature-extraction',
    wrongType: { input: { text: 'the' } },
    empty: { input: '' },
    tooMany: { input: MANY },
    tooLong: { input: LONG },
    unknown: { normalise: false },
    limits: LIMITS_OF_TEXTS,
  },
  {
    name: 'Hugging Face, /models/{model}',
    protocol: 'huggingface',
    path: (model) => `/huggingface/models/${model}/pipeline/feature-extraction`,
    body: () => ({ inputs: 'the' }),
    task: 'feature-extraction',
    wrongType: { inputs: 7 },
    empty: { inputs: '' },
    tooMany: { inputs: MANY },
    tooLong: { inputs: LONG },
    unknown: { parameters: { normalise: false } },
    limits: LIMITS_OF_TEXTS,
  },
  {
    name: 'Verge, /rerank',
    protocol: 'verge',
    path: () => '/verge/rerank',
    body: (model) => ({ model, query: 'the', documents: ['the'] }),
    task: 'feature-extraction',
    wrongType: { documents: 7 },
    empty: { query: '' },
    tooMany: { documents: MANY },
    tooLong: { query: LONG },
    unknown: { normalise: false },
    limits: LIMITS_OF_TEXTS,
  },
  {
    name: 'OpenAI, /v1/responses',
    protocol: 'openai',
    path: () => '/openai/v1/responses',
    body: (model) => ({ model, input: 'Hi' }),
    task: 'text-generation',
    wrongType: { input: 7 },
    empty: { input: [] },
    tooMany: { input: MANY_MESSAGES },
    tooLong: { input: LONG },
    unknown: { frequency: 1 },
    limits: LIMITS_OF_CHATS,
  },
  {
    name: 'Anthropic, /v1/messages',
    protocol: 'anthropic',
    path: () => '/anthropic/v1/messages',
    body: (model) => ({ model, max_tokens: 8, messages: [{ role: 'user', content: 'Hi' }] }),
    task: 'text-generation',
    wrongType: { messages: 7 },
    empty: { messages: [] },
    tooMany: { messages: MANY_MESSAGES },
    tooLong: { messages: [{ role: 'user', content: LONG }] },
    unknown: { frequency_penalty: 1 },
    limits: LIMITS_OF_CHATS,
  },
  {
    name: 'Ollama, /api/chat',
    protocol: 'ollama',
    path: () => '/api/chat',
    body: (model) => ({ model, messages: [{ role: 'user', content: 'Hi' }] }),
    task: 'text-generation',
    wrongType: { messages: 7 },
    empty: { messages: [{ role: 'user', content: '' }] },
    tooMany: { messages: MANY_MESSAGES },
    tooLong: { messages: [{ role: 'user', content: LONG }] },
    unknown: { options: { temprature: 1 } },
    limits: LIMITS_OF_CHATS,
  },
  {
    name: 'Ollama, /api/embed',
    protocol: 'ollama',
    path: () => '/ollama/api/embed',
    body: (model) => ({ model, input: 'the' }),
    task: 'feature-extraction',
    wrongType: { input: 7 },
    empty: { input: ['the', ' '] },
    tooMany: { input: MANY },
    tooLong: { input: LONG },
    unknown: { normalize: false },
    limits: LIMITS_OF_TEXTS,
  },
]

for (const call of CALLS) protocolErrors(call)
