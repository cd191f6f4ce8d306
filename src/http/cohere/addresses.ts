import { type Address, notYet } from '../address.ts'

const CHAT = 'Use POST /v1/chat/completions.'

export const cohereAddresses: readonly Address[] = [
  notYet('POST', '/v2/chat', 'always', 'Chats', CHAT),
  notYet('POST', '/v1/chat', 'always', 'Chats', CHAT),
  notYet('POST', '/v1/generate', 'always', 'Texts continued', 'Use POST /v1/completions.'),
  notYet(
    'POST',
    '/v1/classify',
    'always',
    'Classifies texts by examples',
    'Push a text classifier and use POST /run/{model}.',
  ),
  notYet('POST', '/v1/summarize', 'always', 'Summaries', CHAT),
]
