import { type Address, notYet, works } from '../address.ts'

export const jinaAddresses: readonly Address[] = [
  works(
    'POST',
    '/v1/embeddings',
    'default-protocol',
    'Embeddings for a task, in several encodings, with late chunking',
  ),
  works('POST', '/v1/multi-vector', 'always', 'A vector for each token of each text'),
  works('POST', '/v1/rerank', 'default-protocol', 'Sorts documents by their relevance to a query'),
  works('POST', '/v1/classify', 'default-protocol', 'Labels of the request for texts, without training'),
  notYet('POST', '/v1/train', 'never', 'Classifiers from examples', 'Send the labels to /v1/classify.'),
]
