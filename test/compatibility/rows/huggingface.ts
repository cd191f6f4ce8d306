import type { CompatibilityRow } from '../row.ts'

const JSON_TYPE = "-H 'content-type: application/json'"
const ANY_KEY = 'test/e2e/clients-any-key.test.ts'

export const rows: readonly CompatibilityRow[] = [
  {
    group: 'huggingface',
    what: 'Tasks, at the address of a model (`endpointUrl`)',
    note: 'The [pipelines](#pipelines-of-transformersjs) say which',
    state: 'works',
    client: '@huggingface/inference',
    proof: { file: 'test/e2e/clients-embeddings.test.ts', test: 'classifies texts and pictures' },
    curl: `curl $VERGE/huggingface/hf-inference/models/reviews ${JSON_TYPE} -d '{"inputs": "It is far too long."}'`,
  },
  {
    group: 'huggingface',
    what: '`sentenceSimilarity`',
    state: 'works',
    client: '@huggingface/inference',
    proof: { file: 'test/e2e/clients-embeddings.test.ts', test: 'compares sentences' },
    curl: `curl $VERGE/huggingface/pipeline/sentence-similarity/embedder ${JSON_TYPE} \\
  -d '{"inputs": {"source_sentence": "A quiet film.", "sentences": ["A loud film.", "No."]}}'`,
  },
  {
    group: 'huggingface',
    what: '`chatCompletion`, `chatCompletionStream`, `textGeneration`',
    state: 'works',
    client: '@huggingface/inference',
    proof: {
      file: ANY_KEY,
      test: "@huggingface/inference runs tasks, chats and writes texts at a model's own address",
    },
    curl: `curl $VERGE/huggingface/models/abacus/v1/chat/completions ${JSON_TYPE} \\
  -d '{"messages": [{"role": "user", "content": "What is 27 plus 58?"}]}'`,
  },
  {
    group: 'huggingface',
    what: '`summarization`, `translation`, `automaticSpeechRecognition`, `imageToText`, `textToImage`, `textToSpeech`',
    state: 'not yet',
    why: 'Their paths answer 501 `not_implemented`',
  },
  {
    group: 'huggingface',
    what: 'Names of models of the hub, such as `owner/name`',
    state: 'declined',
    why: 'Verge runs models that its operator pushed. `MODEL_NAMES` gives a model such a name',
  },
]
