import { smallEncoderFiles } from '../../fixtures/node/small-encoder.ts'

/** What Ollama's addresses for embeddings name; texts are written by the shipped `abacus`. */
export const models = { embedder: smallEncoderFiles }

/** A name of another service's, and the model that it means. */
export const names = { 'claude-opus-5': 'abacus' }
