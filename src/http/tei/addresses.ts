import { type Address, works } from '../address.ts'

/** text-embeddings-inference serves one model: its name stands before its paths, or `DEFAULT_MODEL` says it. */
export const teiAddresses: readonly Address[] = [
  works('POST', '/{model}/embed', 'default-model', 'A vector for each text'),
  works('POST', '/{model}/embed_sparse', 'default-model', 'A sparse vector for each text'),
  works('POST', '/{model}/embed_all', 'default-model', 'A vector for each token of each text'),
  works('POST', '/{model}/predict', 'default-model', 'Labels with scores for texts or pairs of texts'),
  works('POST', '/{model}/rerank', 'default-protocol', 'Sorts texts by their relevance to a query'),
  works('POST', '/{model}/similarity', 'default-model', 'How near sentences are to another'),
  works('POST', '/{model}/tokenize', 'default-protocol', 'Tokens of texts'),
  works('POST', '/{model}/decode', 'default-model', 'Texts of tokens'),
  works('GET', '/{model}/info', 'default-model', 'What the model is, and its limits'),
  works('GET', '/{model}/health', 'default-protocol', 'Whether the engine works'),
  works('POST', '/{model}/embeddings', 'default-model', 'Embeddings as OpenAI has them', 'openai'),
  works('POST', '/{model}/v1/embeddings', 'default-protocol', 'Embeddings as OpenAI has them', 'openai'),
]
