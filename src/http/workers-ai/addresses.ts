import { type Address, notYet, works } from '../address.ts'

const AI = '/client/v4/accounts/{account}/ai'

export const workersAiAddresses: readonly Address[] = [
  works('POST', `${AI}/run/{name...}`, 'always', "Runs a model, by its name or an operator's such as @cf/baai/bge-m3"),
  works('GET', `${AI}/models/search`, 'always', 'The models that the caller may see'),
  works('POST', `${AI}/v1/embeddings`, 'always', "Embeddings in OpenAI's format", 'openai'),
  works('POST', `${AI}/v1/chat/completions`, 'always', "Chats in OpenAI's format, whole or streamed", 'openai'),
  works('POST', `${AI}/v1/completions`, 'always', "Texts continued in OpenAI's format, whole or streamed", 'openai'),
  notYet('GET', `${AI}/models/schema`, 'always', 'Schemas of models', 'GET /openapi.json has them.'),
  notYet('POST', `${AI}/tomarkdown`, 'always', 'Files converted to Markdown'),
  notYet('GET', `${AI}/finetunes`, 'always', 'LoRA adapters', 'Merge an adapter into its model and push the model.'),
]
