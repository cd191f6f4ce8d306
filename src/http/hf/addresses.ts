import { type Address, works } from '../address.ts'

const CHAT = '/v1/chat/completions'
const TEXT = '/v1/completions'

/** Hugging Face's inference API, by the paths that it has had. */
export const huggingFaceAddresses: readonly Address[] = [
  works('POST', `/models/{model}${CHAT}`, 'always', 'Chats of one model', 'openai'),
  works('POST', `/models/{model}${TEXT}`, 'always', 'Texts continued by one model', 'openai'),
  works('POST', `/hf-inference/models/{model}${CHAT}`, 'always', 'Chats of one model', 'openai'),
  works('POST', `/hf-inference/models/{model}${TEXT}`, 'always', 'Texts continued by one model', 'openai'),
  works('POST', '/models/{model}', 'always', "Runs a model's task"),
  works('POST', '/models/{model}/pipeline/{task}', 'always', 'Runs the task named'),
  works('POST', '/hf-inference/models/{model}', 'always', "Runs a model's task"),
  works('POST', '/hf-inference/models/{model}/pipeline/{task}', 'always', 'Runs the task named'),
  works('POST', '/pipeline/{task}/{model}', 'always', 'Runs the task named'),
]
