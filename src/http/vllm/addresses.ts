import { type Address, notYet, works } from '../address.ts'

/** vLLM's pooling models, and its paths for texts, which are OpenAI's. */
export const vllmAddresses: readonly Address[] = [
  works('POST', '/pooling', 'always', 'Vectors or scores of texts, by the task named'),
  works('POST', '/score', 'always', 'Scores of pairs of texts'),
  works('POST', '/v1/score', 'always', 'Scores of pairs of texts'),
  works('POST', '/classify', 'default-protocol', 'Labels with probabilities for texts'),
  works('POST', '/rerank', 'default-protocol', 'Sorts documents by their relevance to a query'),
  works('POST', '/v1/rerank', 'default-protocol', 'Sorts documents by their relevance to a query'),
  works('POST', '/v2/rerank', 'default-protocol', 'Sorts documents by their relevance to a query'),
  works('POST', '/tokenize', 'default-protocol', 'Token ids of a text'),
  works('POST', '/detokenize', 'always', 'The text of token ids'),
  works('POST', '/v1/embeddings', 'default-protocol', 'Embeddings, with its fields beside those of OpenAI'),
  works('POST', '/v1/chat/completions', 'never', 'Chats, whole or streamed', 'openai'),
  works('POST', '/v1/completions', 'never', 'Texts continued, whole or streamed', 'openai'),
  works('GET', '/v1/models', 'default-protocol', 'Models with the tokens that they take'),
  works('GET', '/health', 'default-protocol', 'Whether the engine works'),
  works('GET', '/ping', 'default-protocol', 'Whether the engine works'),
  works('POST', '/ping', 'default-protocol', 'Whether the engine works'),
  works('GET', '/version', 'default-protocol', "Verge's version"),
  notYet('POST', '/v1/audio/transcriptions', 'never', 'Speech to text'),
]
