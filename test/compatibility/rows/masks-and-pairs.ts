import type { CompatibilityRow } from '../row.ts'

const MASKS = 'test/e2e/fill-mask.full.ts'
const PAIRS = 'test/e2e/two-encoders.full.ts'
const SOUNDS = 'test/e2e/sounds-and-texts.full.ts'

const FILL = `curl $VERGE/run/filler -H 'content-type: application/json' \\
  -d '{"inputs": "A quiet [MASK] that stays with you.", "parameters": {"top_k": 3}}'`
const PICTURE = "-H 'content-type: image/png' --data-binary @drawing.png"

export const rows: readonly CompatibilityRow[] = [
  {
    group: 'pipelines',
    what: '`fill-mask`',
    state: 'works',
    client: '@huggingface/transformers',
    proof: { file: MASKS, test: 'answers a batch of texts as its singles' },
    curl: FILL,
  },
  {
    group: 'pipelines',
    what: '`zero-shot-image-classification` (CLIP, SigLIP)',
    state: 'works',
    client: '@huggingface/transformers',
    proof: {
      file: PAIRS,
      test: 'takes a sentence of the request, and a raw picture with its labels in the query or a form',
    },
    curl: `curl "$VERGE/run/clip?candidate_labels=a+drawing,a+photo" ${PICTURE}`,
  },
  {
    group: 'pipelines',
    what: '`zero-shot-audio-classification` (CLAP)',
    state: 'works',
    client: '@huggingface/transformers',
    proof: { file: SOUNDS, test: 'are sorted by labels as transformers.js sorts them' },
    curl: `curl "$VERGE/run/clap?candidate_labels=a+dog,a+tone" -H 'content-type: audio/wav' --data-binary @tone.wav`,
    note: 'Of a sound longer than the model takes, the beginning is used',
  },
  {
    group: 'pipelines',
    what: "`image-text-similarity`, the matrix of CLIP's and SigLIP's pictures and texts",
    state: 'works',
    client: '@huggingface/transformers',
    proof: { file: PAIRS, test: 'answers each picture with each text, as cosines and as logits' },
    curl: `curl "$VERGE/run/pairs?texts=a+drawing&texts=a+photo" ${PICTURE}`,
  },
  {
    group: 'pipelines',
    what: '`zero-shot-object-detection` (OWL-ViT)',
    state: 'not yet',
    why: 'No task makes boxes of its logits and `pred_boxes`. `/v2/models/NAME/infer` takes its tensors',
  },
  {
    group: 'huggingface',
    what: '`fillMask`',
    state: 'works',
    client: '@huggingface/inference',
    proof: { file: MASKS, test: '@huggingface/inference fills masks' },
    curl: FILL.replace('/run/', '/models/'),
  },
  {
    group: 'huggingface',
    what: '`zeroShotImageClassification`',
    state: 'works',
    client: '@huggingface/inference',
    proof: { file: PAIRS, test: '@huggingface/inference sorts pictures' },
    curl: `curl "$VERGE/models/clip?candidate_labels=a+drawing,a+photo" ${PICTURE}`,
  },
]
