import { type Address, notYet, works } from '../address.ts'
import { openAiAddresses } from '../openai/addresses.ts'

const PUSH = 'Models are pushed by their operator: npx verge push.'

export const ollamaAddresses: readonly Address[] = [
  works('GET', '/', 'never', 'Says that it runs'),
  works('POST', '/api/chat', 'always', 'An answer to messages, streamed or whole'),
  works('POST', '/api/generate', 'always', 'A text continued, or a question answered, streamed or whole'),
  works('POST', '/api/embed', 'always', 'Embeddings'),
  works('POST', '/api/embeddings', 'always', 'The embedding of one text'),
  works('GET', '/api/tags', 'always', 'The models that the caller may see'),
  works('POST', '/api/show', 'always', 'One model'),
  works('GET', '/api/ps', 'always', 'The models in memory'),
  works('GET', '/api/version', 'always', "Verge's version"),
  // Ollama has OpenAI's addresses beside its own.
  ...openAiAddresses
    .filter(({ state }) => state === 'works')
    .map((address): Address => ({ ...address, root: 'never', errors: 'openai' })),
  notYet('POST', '/api/pull', 'always', 'Downloads a model', PUSH),
  notYet('POST', '/api/push', 'always', 'Uploads a model', PUSH),
  notYet('POST', '/api/create', 'always', 'Makes a model of another one', PUSH),
  notYet('POST', '/api/copy', 'always', 'Gives a model another name', 'Use the variable MODEL_NAMES.'),
  notYet('DELETE', '/api/delete', 'always', 'Removes a model', 'Models are removed by their operator: npx verge rm.'),
]
