import { type Address, notYet, works } from '../address.ts'

/** Why earlier answers cannot be asked for. */
const KEPT = 'Verge keeps no answers: send the whole conversation as "input" of POST /v1/responses.'

const COUNTED = 'Send the messages to POST /anthropic/v1/messages/count_tokens.'

export const openAiAddresses: readonly Address[] = [
  works('GET', '/v1/models', 'always', 'The models that the caller may see'),
  works('GET', '/v1/models/{model}', 'always', 'One model'),
  works('POST', '/v1/embeddings', 'always', 'Embeddings'),
  works('POST', '/v1/chat/completions', 'always', 'Chats, whole or streamed'),
  works('POST', '/v1/completions', 'always', 'Texts continued, whole or streamed'),
  works('POST', '/v1/responses', 'always', 'An answer to a text or to messages, whole or streamed'),
  notYet('GET', '/v1/responses/{id}', 'always', 'An earlier answer', KEPT),
  notYet('DELETE', '/v1/responses/{id}', 'always', 'Removes an earlier answer', KEPT),
  notYet('POST', '/v1/responses/{id}/cancel', 'always', 'Ends an answer in the background', KEPT),
  notYet('GET', '/v1/responses/{id}/input_items', 'always', 'The input of an earlier answer', KEPT),
  notYet('POST', '/v1/responses/compact', 'always', 'Shortens a conversation'),
  notYet('POST', '/v1/responses/input_tokens', 'always', 'How many tokens an input has', COUNTED),
  notYet('POST', '/v1/audio/transcriptions', 'always', 'Speech to text'),
  notYet('POST', '/v1/audio/translations', 'always', 'Speech to English text'),
  notYet('POST', '/v1/audio/speech', 'always', 'Text to speech'),
  notYet('POST', '/v1/images/generations', 'always', 'Text to image'),
  notYet('POST', '/v1/images/edits', 'always', 'Images edited by a text'),
  notYet('POST', '/v1/images/variations', 'always', 'Variations of an image'),
  notYet(
    'POST',
    '/v1/moderations',
    'always',
    'Whether texts are harmful',
    'Push a text classifier and use POST /run/{model}.',
  ),
  notYet('GET', '/v1/batches', 'always', 'Batches of requests'),
  notYet('POST', '/v1/batches', 'always', 'A batch of requests', 'Send the requests one by one.'),
  notYet('GET', '/v1/files', 'always', 'Files for batches'),
  notYet('POST', '/v1/files', 'always', 'A file for a batch', 'Send the requests one by one.'),
]
