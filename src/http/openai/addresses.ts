import { type Address, notYet, works } from '../address.ts'

export const openAiAddresses: readonly Address[] = [
  works('GET', '/v1/models', 'always', 'The models that the caller may see'),
  works('GET', '/v1/models/{model}', 'always', 'One model'),
  works('POST', '/v1/embeddings', 'always', 'Embeddings'),
  works('POST', '/v1/chat/completions', 'always', 'Chats, whole or streamed'),
  works('POST', '/v1/completions', 'always', 'Texts continued, whole or streamed'),
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
