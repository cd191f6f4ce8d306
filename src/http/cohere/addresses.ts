import { type Address, notYet, works } from '../address.ts'

const CHAT = 'Chats are at /v1/chat/completions.'

export const cohereAddresses: readonly Address[] = [
  works('POST', '/v2/embed', 'always', 'Embeddings, in several encodings at once'),
  works('POST', '/v2/rerank', 'always', 'Sorts documents by their relevance to a query'),
  works('POST', '/v1/embed', 'always', 'Embeddings, as older clients ask for them'),
  works('POST', '/v1/rerank', 'default-protocol', 'Sorts documents, as older clients ask for it'),
  works('POST', '/v1/tokenize', 'always', 'Tokens of a text'),
  works('POST', '/v1/detokenize', 'always', 'The text of tokens'),
  works('GET', '/v1/models', 'default-protocol', 'Models with what they can do'),
  works('GET', '/v1/models/{model}', 'default-protocol', 'One model with what it can do'),
  notYet('POST', '/v2/chat', 'always', 'Chats', CHAT),
  notYet('POST', '/v1/chat', 'always', 'Chats', CHAT),
  notYet('POST', '/v1/generate', 'always', 'Texts continued', 'They are at /v1/completions.'),
  notYet('POST', '/v1/classify', 'always', 'Labels by examples', 'Send texts to classify to /run/{model}.'),
]
