import { type ProtocolCall, protocolErrors } from '../contract/protocol-errors.ts'

/** A text longer than `LIMITS_OF_TEXTS` allow. */
const LONG = 'the '.repeat(100)
const LIMITS_OF_TEXTS = { textLength: 100, requestItems: 40, embeddingsPerRequest: 4 }
const MANY = Array.from({ length: 30 }, () => 'the')

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
]

for (const call of CALLS) protocolErrors(call)
