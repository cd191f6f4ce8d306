import type { CompatibilityRow, RefusedRow, WorkingRow } from '../row.ts'

const JSON_TYPE = "-H 'content-type: application/json'"
const TEXTS = 'test/e2e/tasks-text.test.ts'
const EMBEDDINGS = 'test/e2e/clients-embeddings.test.ts'
const MEDIA = 'test/e2e/clients-media.full.ts'

function pipeline(
  name: string,
  file: string,
  test: string,
  curl: string,
  client = '@huggingface/inference',
): WorkingRow {
  return { group: 'pipelines', what: `\`${name}\``, state: 'works', client, proof: { file, test }, curl }
}

function later(name: string, why: string): RefusedRow {
  return { group: 'pipelines', what: `\`${name}\``, state: 'not yet', why }
}

const SEQUENCE = 'Needs an encoder and a decoder in one model'

export const rows: readonly CompatibilityRow[] = [
  pipeline(
    'text-classification',
    EMBEDDINGS,
    'classifies texts and pictures',
    `curl $VERGE/huggingface/models/reviews ${JSON_TYPE} -d '{"inputs": "A quiet film that stays with you."}'`,
  ),
  pipeline(
    'token-classification',
    TEXTS,
    '@huggingface/inference finds names',
    `curl $VERGE/huggingface/models/names ${JSON_TYPE} -d '{"inputs": "Ada wrote to London."}'`,
  ),
  pipeline(
    'question-answering',
    TEXTS,
    '@huggingface/inference answers questions',
    `curl $VERGE/huggingface/models/reader ${JSON_TYPE} \\
  -d '{"inputs": {"question": "Who wrote the first program?", "context": "Ada Lovelace wrote to Charles in 1843."}}'`,
  ),
  pipeline(
    'zero-shot-classification',
    TEXTS,
    '@huggingface/inference classifies by labels of its own',
    `curl $VERGE/huggingface/models/judge ${JSON_TYPE} \\
  -d '{"inputs": "the price", "parameters": {"candidate_labels": ["travel", "money", "music"]}}'`,
  ),
  pipeline(
    'feature-extraction',
    EMBEDDINGS,
    'extracts features of a text and of several, with a prompt',
    `curl $VERGE/huggingface/models/embedder/pipeline/feature-extraction ${JSON_TYPE} -d '{"inputs": "A quiet film."}'`,
  ),
  pipeline(
    'text-generation',
    'test/e2e/clients-any-key.test.ts',
    "@huggingface/inference runs tasks, chats and writes texts at a model's own address",
    `curl $VERGE/huggingface/models/abacus ${JSON_TYPE} -d '{"inputs": "27 plus 58 is", "parameters": {"max_new_tokens": 8}}'`,
  ),
  pipeline(
    'image-classification',
    'test/e2e/clients.test.ts',
    '@huggingface/inference classifies pictures',
    "curl $VERGE/huggingface/models/digits -H 'content-type: image/png' --data-binary @digit.png",
  ),
  pipeline(
    'image-to-image',
    MEDIA,
    '@huggingface/inference gets a picture for a picture',
    "curl $VERGE/huggingface/models/larger -H 'content-type: image/png' --data-binary @digit.png -o larger.png -w '%{size_download}'",
  ),
  pipeline(
    'image-feature-extraction',
    'test/e2e/docs-tasks-media.full.ts',
    'image.md answers as it prints',
    "curl $VERGE/huggingface/models/picture-features -H 'content-type: image/png' --data-binary @digit.png",
    'its documentation',
  ),
  pipeline(
    'audio-classification',
    MEDIA,
    '@huggingface/inference classifies a sound',
    "curl $VERGE/huggingface/models/keywords -H 'content-type: audio/wav' --data-binary @yes.wav",
  ),
  later('summarization', SEQUENCE),
  later('translation', SEQUENCE),
  later('text2text-generation', SEQUENCE),
  later('automatic-speech-recognition', SEQUENCE),
  later('image-to-text', SEQUENCE),
  later('document-question-answering', SEQUENCE),
  later('text-to-audio', 'Needs several models'),
  later('zero-shot-object-detection', 'Needs boxes for labels that the request names'),
]
