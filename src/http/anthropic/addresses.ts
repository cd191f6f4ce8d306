import { type Address, notYet, works } from '../address.ts'

const ONE_BY_ONE = 'Send the requests one by one.'

export const anthropicAddresses: readonly Address[] = [
  works('POST', '/v1/messages', 'always', 'An answer to messages, whole or streamed'),
  works('POST', '/v1/messages/count_tokens', 'always', 'How many tokens a prompt has'),
  works('GET', '/v1/models', 'default-protocol', 'The models that the caller may see'),
  works('GET', '/v1/models/{model}', 'default-protocol', 'One model'),
  notYet('GET', '/v1/messages/batches', 'always', 'Batches of requests'),
  notYet('POST', '/v1/messages/batches', 'always', 'A batch of requests', ONE_BY_ONE),
  notYet('POST', '/v1/complete', 'always', 'Texts continued, as Anthropic once had it', 'Use POST /v1/messages.'),
]
