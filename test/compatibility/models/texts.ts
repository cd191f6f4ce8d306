import { lexical, places, ranker, retriever, topics } from '../../fixtures/node/text-protocols.ts'

/** What the commands of embeddings, ranks, labels and tokens name. */
export const models = { retriever, lexical, ranker, topics, places }
