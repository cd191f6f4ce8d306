import { places, ranker, retriever, splade, topics } from '../../fixtures/node/text-protocols.ts'

/** What the commands of embeddings, ranks, labels and tokens name. */
export const models = { retriever, splade, ranker, topics, places }
